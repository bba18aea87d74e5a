//! Values and traits that the Bartizan layers share: verdicts, permits, refusals, the ambient context
