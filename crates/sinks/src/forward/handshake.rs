//! Both sides prove that they know the shared key, without saying it.
//!
//! | from | message |
//! |---|---|
//! | receiver | `["HELO", {"nonce": …, "auth": …, "keepalive": …}]` |
//! | sender | `["PING", hostname, salt, digest, user, password's digest]` |
//! | receiver | `["PONG", accepted, reason, hostname, digest]` |
//!
//! A digest is the hex of SHA-512 over salt, hostname of who proves, nonce and key; a password's,
//! over `auth`, user and password. `auth` is there whether or not a user is asked for.

use m365_audit_core::Secret;
use rmpv::Value;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use super::options::User;

/// What a receiver says first.
#[derive(Debug)]
pub(super) struct Helo {
    nonce: Vec<u8>,
    /// Goes into the digest of the password.
    auth: Vec<u8>,
}

impl Helo {
    /// Reads it; `None` if `message` is another.
    pub(super) fn read(message: &Value) -> Option<Self> {
        let options = named(message, "HELO")?.first()?;
        let bytes = |name: &str| {
            let (_, value) =
                options.as_map()?.iter().find(|(key, _)| key.as_str() == Some(name))?;
            text_or_bytes(value)
        };
        Some(Self { nonce: bytes("nonce")?, auth: bytes("auth").unwrap_or_default() })
    }
}

/// This side's part.
#[derive(Debug)]
pub(super) struct Handshake<'a> {
    pub(super) hostname: &'a str,
    pub(super) key: &'a Secret<String>,
    pub(super) user: Option<&'a User>,
    /// ASCII: Fluent Bit takes it as text and not as bytes.
    pub(super) salt: [u8; 16],
}

impl Handshake<'_> {
    /// The answer to a [`Helo`].
    pub(super) fn ping(&self, helo: &Helo) -> Value {
        let digest = self.digest(self.hostname, &helo.nonce);
        let (user, password) = match self.user {
            Some(User { name, password }) => {
                let parts = [&helo.auth, name.as_bytes(), password.expose().as_bytes()];
                (&**name, hex_of(parts.into_iter()))
            }
            None => ("", String::new()),
        };
        Value::Array(vec![
            "PING".into(),
            self.hostname.into(),
            String::from_utf8_lossy(&self.salt).as_ref().into(),
            digest.into(),
            user.into(),
            password.into(),
        ])
    }

    /// Judges the receiver's answer.
    ///
    /// # Errors
    /// In words, what is wrong with it, or what it says is wrong here.
    pub(super) fn verify(&self, helo: &Helo, pong: &Value) -> Result<(), String> {
        let [accepted, reason, hostname, digest, ..] = named(pong, "PONG").unwrap_or_default()
        else {
            return Err("the receiver did not finish the handshake".into());
        };
        if accepted.as_bool() != Some(true) {
            let reason = reason.as_str().unwrap_or("it gives no reason");
            return Err(format!(
                "the receiver refused the handshake ({reason}); remedy: set forward.shared_key \
                 to what it calls Shared_Key or shared_key, and forward.username and \
                 forward.password if it asks for a user"
            ));
        }
        let hostname = hostname.as_str().unwrap_or_default();
        let expected = self.digest(hostname, &helo.nonce);
        // How long that takes says nothing about how much of it is right.
        let proves = |digest: Vec<u8>| bool::from(digest.ct_eq(expected.as_bytes()));
        if !text_or_bytes(digest).is_some_and(proves) {
            return Err("the receiver does not know the shared key itself; somebody else may be \
                        listening there"
                .into());
        }
        Ok(())
    }

    fn digest(&self, hostname: &str, nonce: &[u8]) -> String {
        let parts = [&self.salt, hostname.as_bytes(), nonce, self.key.expose().as_bytes()];
        hex_of(parts.into_iter())
    }
}

fn hex_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha512::new();
    parts.for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rest of an array that begins with `name`.
fn named<'a>(message: &'a Value, name: &str) -> Option<&'a [Value]> {
    let (first, rest) = message.as_array()?.split_first()?;
    (first.as_str() == Some(name)).then_some(rest)
}

/// Receivers differ in which of the two they send.
fn text_or_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Binary(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"0123456789abcdef";

    /// The beginning of sha512("saltsaltsaltsalt" "me" "0123456789abcdef" "s3cret"), as Python's
    /// hashlib has it.
    const KNOWN: &str = "582ffb00aa3a7f17";

    fn helo(auth: &[u8]) -> Value {
        let options = vec![
            ("nonce".into(), Value::Binary(NONCE.to_vec())),
            ("auth".into(), Value::Binary(auth.to_vec())),
            ("keepalive".into(), true.into()),
        ];
        Value::Array(vec!["HELO".into(), Value::Map(options)])
    }

    fn handshake(key: &Secret<String>) -> Handshake<'_> {
        Handshake { hostname: "me", key, user: None, salt: *b"saltsaltsaltsalt" }
    }

    #[test]
    fn a_receiver_with_the_same_key_is_believed_and_no_other() {
        let key = Secret::new("s3cret".to_owned());
        let mine = handshake(&key);
        let helo = Helo::read(&helo(b"")).unwrap();
        let ping = mine.ping(&helo);
        assert_eq!(ping[3].as_str().map(|digest| &digest[..16]), Some(KNOWN));
        let pong = |accepted: bool, digest: String| {
            let pong = ["PONG".into(), accepted.into(), "why".into(), "you".into(), digest.into()];
            mine.verify(&helo, &Value::Array(pong.to_vec()))
        };
        assert_eq!(pong(true, mine.digest("you", NONCE)), Ok(()));
        let other = Secret::new("other".to_owned());
        assert!(pong(true, handshake(&other).digest("you", NONCE)).is_err());
        assert!(pong(false, mine.digest("you", NONCE)).unwrap_err().contains("(why)"));
        let digest = mine.digest("you", NONCE);
        for wrong in [&digest[..127], &format!("{digest}0"), &digest.to_uppercase(), ""] {
            assert!(pong(true, wrong.to_owned()).is_err(), "{wrong}");
        }
        assert!(mine.verify(&helo, &Value::Nil).is_err());
    }

    #[test]
    fn a_password_is_proved_by_its_digest() {
        let key = Secret::new("s3cret".to_owned());
        let user = User { name: "me".into(), password: Secret::new("pass".to_owned()) };
        let mine = Handshake { user: Some(&user), ..handshake(&key) };
        let ping = mine.ping(&Helo::read(&helo(b"salt")).unwrap());
        assert_eq!(ping[4].as_str(), Some("me"));
        // sha512("salt" "me" "pass"), as above.
        assert_eq!(ping[5].as_str().map(|digest| &digest[..16]), Some("6362fa4effee95e7"));
        let ping = handshake(&key).ping(&Helo::read(&helo(b"salt")).unwrap());
        assert_eq!((ping[4].as_str(), ping[5].as_str()), (Some(""), Some("")));
    }

    #[test]
    fn only_a_helo_is_a_helo() {
        assert_eq!(Helo::read(&helo(b"salt")).unwrap().auth, b"salt");
        let empty = Value::Array(vec!["HELO".into(), Value::Map(Vec::new())]);
        for message in [Value::Nil, empty, Value::Array(vec!["PONG".into()])] {
            assert!(Helo::read(&message).is_none(), "{message}");
        }
    }
}
