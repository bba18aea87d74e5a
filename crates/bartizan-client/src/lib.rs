//! reqwest's and hyper's clients as tower services, and a request builder over any stack
