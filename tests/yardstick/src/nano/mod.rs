//! N: what a call costs.

pub(crate) mod n1;
pub(crate) mod n10;
pub(crate) mod n11;
pub(crate) mod n12;
pub(crate) mod n13;
pub(crate) mod n14;
pub(crate) mod n2;
pub(crate) mod n3;
pub(crate) mod n4;
pub(crate) mod n5;
pub(crate) mod n6;
pub(crate) mod n7;
pub(crate) mod n8;
pub(crate) mod n9;
