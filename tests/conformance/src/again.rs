//! A stage for layers that send requests more than once: each request brings a script along, which says what the inner service does
//! with each of its copies, and keeps a record of them.

mod picker;
mod script;
mod stage;
mod turn;

pub use picker::{Picker, Picks};
pub use script::{
    Ask, HttpInner, Read, Script, Sent, TypedInner, Upload, get, grpc, http_inner, post, typed_inner,
};
pub use stage::{Heard, Hearing, Stage, on_stage, on_stage_http, poll};
pub use turn::{Answer, BAD, DOWN, HANGS, LOST, Lost, OK, Paper, REFUSED, Said, Saying, Turn, UNREACHED};
