//! What Bartizan's layers know of HTTP and gRPC: classifiers, refusal responses, guarded bodies, header codecs
