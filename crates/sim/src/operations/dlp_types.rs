//! Friendly names of sensitive information types. Pure.

use crate::answer::{Answer, af, quoted};
use crate::service::Call;

/// Sensitive information types: id, English name, Spanish name.
const SENSITIVE_TYPES: [(&str, &str, &str); 4] = [
    ("50842eb7-edc8-4019-85dd-5a5c1f2bb085", "CreditCardNumber", "Número de tarjeta de crédito"),
    ("0e9b3178-9678-47dd-a509-37222ca96b42", "EUDebitCardNumber", "Número de tarjeta de débito"),
    ("e55e2a32-f92d-4985-a35d-a0b269eb687b", "InternationalBankAccountNumber", "IBAN"),
    ("6da7404a-8966-4ef6-a6a2-ecb2bf5a4a4d", "Passport", "Pasaporte"),
];

/// Answers in one language; Spanish and English are known.
pub(super) fn dlp_types(call: &Call<'_>) -> Answer {
    let language = call.request.find("accept-language").unwrap_or("en-US");
    if language.contains(',') {
        let message = "Only one language may be present in the Accept-Language header.";
        return af(400, "AF20053", message);
    }
    let tag = language.split(';').next().unwrap_or_default().trim();
    let letters = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if !tag.split('-').all(letters) {
        return af(400, "AF20054", "Invalid syntax in Accept-Language header.");
    }
    let spanish = tag.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("es"));
    let types = SENSITIVE_TYPES.map(|(id, english, es)| {
        format!(r#"{{"id":"{id}","name":{}}}"#, quoted(if spanish { es } else { english }))
    });
    Answer::json(200, format!("[{}]", types.join(",")))
}
