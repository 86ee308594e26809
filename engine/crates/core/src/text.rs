//! Texts that are handed on many times: of replies, updates, events and remembered state.

/// An immutable text that costs next to nothing to clone: up to 23 bytes lie in the value itself (accounts, symbols,
/// the venue's names for orders), static ones are borrowed ([`Text::new_static`]), longer ones are shared.
///
/// What a client sends stays a `String` (see [`crate::Order`]), so that its memory can be used for the next message.
pub use smol_str::SmolStr as Text;
