use crate::Purse;

/// The price of one retry or hedge, taken out of a [`Purse`]. It goes back when it is dropped unspent.
///
/// Hold it while the attempt waits for its turn, and [spend](Self::spend) it when the attempt is sent.
///
/// # Cancel safety
///
/// A future that holds a token and is dropped before its attempt begins costs nothing.
#[derive(Debug)]
#[must_use = "a token that is dropped goes back"]
pub struct Token {
    /// The purse to which it goes back; none once it was spent.
    purse: Option<Purse>,
}

impl Token {
    pub(crate) const fn new(purse: Purse) -> Self {
        Self { purse: Some(purse) }
    }

    /// Spends the token: its attempt begins now.
    pub fn spend(mut self) {
        self.purse = None;
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(purse) = self.purse.take() {
            purse.give_back();
        }
    }
}
