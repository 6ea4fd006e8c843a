//! `maestro token`: makes an operator's token, and the hash of it that the service is configured with.

use std::io::{Write, stdout};
use std::process::ExitCode;

use crate::api::Operators;

/// The beginning of a token, so that whoever finds one knows what it is.
const MARK: &str = "mst_";

/// Prints a new token and its hash. The token is kept nowhere: it is shown this once.
pub fn main() -> ExitCode {
    let token = make(rand::random());
    let hash = Operators::hash(&token);
    let told = format!(
        "token  {token}\nhash   {hash}\n\nGive the token to whoever calls the API: maestro-cli --token, or MAESTRO_TOKEN. It is kept nowhere else.\nConfigure the hash: --operator-tokens, or MAESTRO_OPERATOR_TOKENS.\n"
    );
    match stdout().write_all(told.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A token of 256 bits: nobody guesses one.
fn make(bits: [u8; 32]) -> String {
    format!("{MARK}{}", hex::encode(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_is_taken_by_its_hash() {
        let (one, other) = (make([1; 32]), make([2; 32]));
        assert_eq!(one.len(), 68);
        let operators = Operators::parse([Operators::hash(&one)]).unwrap();
        assert!(operators.knows(&one) && !operators.knows(&other));
    }
}
