//! An input that is only borrowed is written like one that is owned: the journal is read as the owned kind.
#![allow(clippy::unwrap_used)]

use bridge_core::*;

fn every_input() -> Vec<Input> {
    let commands = [
        Command::Execute(Order { order_id: "o".into(), metadata: vec![("k".into(), "v".into())], ..Order::default() }),
        Command::Cancel(CancelOrder { command_id: "c".into(), expected_version: Some(3), ..CancelOrder::default() }),
        Command::Replace(ReplaceOrder { quantity: Some(Decimal::new(7, -1)), ..ReplaceOrder::default() }),
        Command::Fence(FenceOrder { account: "default".into(), order_id: "o".into() }),
        Command::CancelAll(CancelAllOrders { symbol: "SP500".into(), ..CancelAllOrders::default() }),
        Command::SetTradingState(SetTradingState { state: Some(TradingState::Halted), ..SetTradingState::default() }),
        Command::PublishQuotes(PublishQuotes { quotes: vec![Quote::default()], ..PublishQuotes::default() }),
    ];
    let configuration = Configuration {
        instruments: Vec::new(),
        max_skew_ms: 1,
        retention_ms: 2,
        quote_retention_ms: 2,
        foreign_id_quota: 3,
        max_remembered_ids: 4,
        update_history: 5,
        max_metadata_entries: 6,
        max_metadata_bytes: 7,
        risk: RiskConfiguration::default(),
        max_leases: 100,
    };
    let others = [
        Input::Started { epoch: 300 },
        Input::Configured(configuration),
        Input::Venue(VenueReport::Accepted { key: VenueKey(4), venue_order_id: "X1".into() }),
        Input::AckTimeout { order: OrderNo(5) },
    ];
    commands.into_iter().map(Input::Command).chain(others).collect()
}

#[test]
fn a_borrowed_input_has_the_bytes_of_the_owned_one() {
    for input in every_input() {
        let owned = postcard::to_stdvec(&input).unwrap();
        assert_eq!(postcard::to_stdvec(&InputRef::from(&input)).unwrap(), owned, "{input:?}");
    }
}
