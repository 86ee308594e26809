//! The canned answers of a server with nothing behind it: `Welcome`, and an `ExecuteReply` with the request's
//! correlation number patched in. Both as the engine would encode them.

use bridge_core::{Decimal, ExecuteReply, ExecutionStatus, OrderReply, OrderType, ReasonCode, Side};
use bridge_wire::codec::{Encoder, MessageLimits, Welcome};
use bridge_wire::schema as fb;
use bridge_wire::{CONTRACT_VERSION, DEFAULT_ACCOUNT, PROTOCOL_VERSION};

/// The canned answers, encoded once.
pub struct Canned {
    welcome: Patchable,
    reply: Patchable,
}

/// Bytes of a message, and where its correlation number stands.
struct Patchable {
    bytes: Vec<u8>,
    position: usize,
}

/// A number that occurs nowhere else in an answer: so its place is found.
const MARK: u64 = 0xA5C3_96F0_5A3C_690F;

impl Canned {
    /// Encodes the answers.
    pub fn new() -> Self {
        let mut encoder = Encoder::new();
        let welcome = Patchable::new(encoder.welcome(MARK, &welcome()).to_vec());
        let reply = Patchable::new(encoder.execute_reply(MARK, &reply()).to_vec());
        Self { welcome, reply }
    }

    /// The answer to a request, if it is one that this server knows. The request is not verified: it comes from the
    /// bench's own client, and verifying would make this server slower than need be.
    pub fn answer(&mut self, request: &[u8]) -> Option<&[u8]> {
        let envelope = Root::of(request)?;
        let correlation = u64::from_le_bytes(envelope.field(fb::Envelope::VT_CORRELATION)?);
        let [kind] = envelope.field(fb::Envelope::VT_BODY_TYPE)?;
        match fb::Body(kind) {
            fb::Body::ExecuteOrder => Some(self.reply.with(correlation)),
            fb::Body::Hello => Some(self.welcome.with(correlation)),
            _ => None,
        }
    }
}

impl Patchable {
    fn new(bytes: Vec<u8>) -> Self {
        let mark = MARK.to_le_bytes();
        let position = bytes.windows(mark.len()).position(|window| window == mark).unwrap_or_default();
        Self { bytes, position }
    }

    fn with(&mut self, correlation: u64) -> &[u8] {
        self.bytes[self.position..self.position + 8].copy_from_slice(&correlation.to_le_bytes());
        &self.bytes
    }
}

/// The root table of a FlatBuffer, read without verification but within bounds.
struct Root<'a> {
    bytes: &'a [u8],
    table: usize,
    vtable: usize,
}

impl<'a> Root<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let table = u32::from_le_bytes(at(bytes, 0)?) as usize;
        let back = i32::from_le_bytes(at(bytes, table)?);
        let vtable = table.checked_add_signed(-isize::try_from(back).ok()?)?;
        Some(Self { bytes, table, vtable })
    }

    fn field<const N: usize>(&self, entry: u16) -> Option<[u8; N]> {
        let vtable_bytes = u16::from_le_bytes(at(self.bytes, self.vtable)?);
        if entry >= vtable_bytes {
            return None;
        }
        let offset = u16::from_le_bytes(at(self.bytes, self.vtable + usize::from(entry))?);
        if offset == 0 { None } else { at(self.bytes, self.table + usize::from(offset)) }
    }
}

fn at<const N: usize>(bytes: &[u8], position: usize) -> Option<[u8; N]> {
    bytes.get(position..position.checked_add(N)?)?.try_into().ok()
}

fn welcome() -> Welcome {
    Welcome {
        protocol_version: PROTOCOL_VERSION,
        contract_version: CONTRACT_VERSION,
        journal_id: "00000000-0000-0000-0000-000000000000".to_owned(),
        epoch: 1,
        engine_version: "canned".to_owned(),
        limits: MessageLimits {
            max_message_bytes: 1 << 20,
            max_batch_orders: 1,
            max_in_flight: 4096,
            max_metadata_entries: 32,
            update_history: 0,
        },
        last_sequence: 0,
        pub_endpoint: String::new(),
    }
}

/// As large as the engine's own answer to the bench's order.
fn reply() -> ExecuteReply {
    let reply = OrderReply {
        order_id: "0190163d-8694-739b-aea5-966c26f8ad91".into(),
        status: ExecutionStatus::Filled,
        exchange_order_id: "E-1234567".into(),
        executed_quantity: Decimal::new(15, -1),
        executed_price: Some(Decimal::new(10001, -2)),
        execution_time_ns: Some(1_718_000_000_123_456_789),
        error_message: "".into(),
        code: ReasonCode::None,
        field: "".into(),
        account: DEFAULT_ACCOUNT.into(),
        order_version: 1,
        sequence: 1,
        remaining_quantity: Decimal::ZERO,
        symbol: "NASDAQ".into(),
        order_type: Some(OrderType::Market),
        side: Some(Side::Buy),
        quantity: Some(Decimal::new(15, -1)),
        price: None,
        parent_order_id: "".into(),
    };
    ExecuteReply { reply, duplicate: false }
}

#[cfg(test)]
mod tests {
    use super::Canned;
    use bridge_wire::codec::{Encoder, Hello, open};
    use bridge_wire::{limits::DecodeLimits, schema as fb};

    #[test]
    fn hello_is_answered_by_a_welcome_under_the_number_of_the_request() -> Result<(), Box<dyn std::error::Error>> {
        let mut canned = Canned::new();
        for number in [7, u64::MAX] {
            let request = Encoder::new().hello(number, "", &Hello::default()).to_vec();
            let answer = canned.answer(&request).ok_or("no answer")?;
            let answer = open(answer, &DecodeLimits::default())?;
            assert_eq!((answer.correlation(), answer.body_type()), (number, fb::Body::Welcome));
        }
        Ok(())
    }

    #[test]
    fn garbage_and_what_is_no_request_of_the_bench_have_no_answer() {
        let mut canned = Canned::new();
        assert!(canned.answer(b"").is_none());
        assert!(canned.answer(&[255; 64]).is_none());
        assert!(canned.answer(Encoder::new().health_check(1, "", "")).is_none());
    }
}
