//! Refusals as gRPC statuses (WIRE.md section 2): a status with `x-reason` is an answer, one without says nothing.

use bridge_core::{ReasonCode, Rejection};
use tonic::{Code, Status, metadata::MetadataMap};

/// The status and trailers of a refusal.
pub fn refusal(rejection: &Rejection) -> Status {
    let mut trailers = MetadataMap::new();
    let entries = [
        ("x-reason", rejection.code.name()),
        ("x-reason-code", &(rejection.code as u16).to_string()),
        ("x-field", &rejection.field),
    ];
    for (key, value) in entries {
        // A field's name is ASCII; were it not, the status goes without it.
        if let Ok(value) = value.parse() {
            trailers.insert(key, value);
        }
    }
    Status::with_metadata(status_code(rejection.code), rejection.message.clone(), trailers)
}

/// Which status a refusal's code is.
pub fn status_code(code: ReasonCode) -> Code {
    use ReasonCode as R;
    match code {
        R::Busy
        | R::TooManyConnections
        | R::TooManySubscriptions
        | R::BatchTooLarge
        | R::MessageTooLarge
        | R::IdQuotaExceeded
        | R::SlowConsumer => Code::ResourceExhausted,
        R::ShuttingDown | R::JournalFailed => Code::Unavailable,
        R::JournalIdMismatch | R::HelloRequired | R::UnsupportedProtocolVersion | R::StateRegressed => {
            Code::FailedPrecondition
        }
        R::NotImplemented => Code::Unimplemented,
        R::Unauthenticated => Code::Unauthenticated,
        R::PermissionDenied => Code::PermissionDenied,
        R::DataLoss => Code::DataLoss,
        // MALFORMED_MESSAGE; all others are values in replies and never come here.
        _ => Code::InvalidArgument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_status_and_names_its_reason() {
        for code in ReasonCode::ALL.iter().copied().filter(|code| code.is_refusal()) {
            let status = refusal(&Rejection::new(code, "field", "message"));
            assert_eq!(status.metadata().get("x-reason").map(|v| v.as_bytes()), Some(code.name().as_bytes()));
            let invalid = status.code() == Code::InvalidArgument;
            assert_eq!(invalid, code == ReasonCode::MalformedMessage, "{}", code.name());
        }
    }
}
