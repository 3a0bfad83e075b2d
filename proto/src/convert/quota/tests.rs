use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::limits::{
    DENIAL_RELEASES, PURSE_DAYS, REPORT_AGENTS, REPORT_PURSES, REPORT_ROWS, USES_KEPT,
};
use agix_core::quota::{
    AgentReport, AgentUpdate, Denial, MoneyReport, MoneyUpdate, PastReport, PeriodStanding,
    PoolReport, PoolUpdate, PurseReport, PurseUpdate, Standing, UsageReport, Use,
};
use agix_core::units::NanoUsd;
use agix_core::usage::UsageTotals;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message as _;

use super::*;

fn agent() -> impl Strategy<Value = AgentName> {
    "[a-z0-9._:@-]{1,20}".prop_map(|it| AgentName::new(&it).unwrap())
}

fn model() -> impl Strategy<Value = ModelName> {
    "[a-z0-9._:@/+-]{1,20}".prop_map(|it| ModelName::new(&it).unwrap())
}

fn session() -> impl Strategy<Value = SessionId> {
    any::<u64>().prop_map(SessionId::new)
}

fn mono() -> impl Strategy<Value = Mono> {
    any::<u64>().prop_map(Mono::from_nanos)
}

fn span() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn usd() -> impl Strategy<Value = NanoUsd> {
    any::<u64>().prop_map(NanoUsd::from_nanos)
}

fn any_day() -> impl Strategy<Value = Day> {
    (0_u16..=9_999, 1_u8..=12, 1_u8..=31).prop_map(|(y, m, d)| Day::new(y, m, d).unwrap())
}

prop_compose! {
    fn totals()(sums in any::<[u64; 9]>()) -> UsageTotals {
        let [requests, estimated, unpriced, input, cached_input, cache_write, output, reasoning, cost] =
            sums;
        UsageTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost: NanoUsd::from_nanos(cost),
        }
    }
}

prop_compose! {
    fn pool_report()(
        [used, returned, reserved, waiting, want] in any::<[u64; 5]>(),
        uses in vec((span(), any::<u64>()), 0..4),
    ) -> PoolReport {
        let uses = uses.into_iter().map(|(age, count)| Use { age, count }).collect();
        PoolReport { used, returned, uses, reserved, waiting, want }
    }
}

prop_compose! {
    fn purse_report()(
        day in any_day(),
        (spent, released, reserved) in (usd(), usd(), usd()),
    ) -> PurseReport {
        PurseReport { day, spent, released, reserved }
    }
}

prop_compose! {
    fn money_report()(
        purses in vec(purse_report(), 0..3),
        (waiting, first, want) in (usd(), usd(), usd()),
    ) -> MoneyReport {
        MoneyReport { purses, waiting, first, want }
    }
}

prop_compose! {
    fn agent_report()(
        agent in agent(),
        (requests, tokens, slots) in (of(pool_report()), of(pool_report()), of(pool_report())),
        money in of(money_report()),
        recall_seen in any::<u64>(),
    ) -> AgentReport {
        AgentReport { agent, requests, tokens, slots, money, recall_seen }
    }
}

prop_compose! {
    fn usage_report()(
        session in session(),
        (agent, model) in (agent(), model()),
        day in of(any_day()),
        totals in totals(),
    ) -> UsageReport {
        UsageReport { session, agent, model, day, totals }
    }
}

prop_compose! {
    fn past_report()(
        (session, agent, day) in (session(), agent(), any_day()),
        spent in usd(),
        (last, estimated) in any::<(bool, bool)>(),
    ) -> PastReport {
        PastReport { session, agent, day, spent, last, estimated }
    }
}

prop_compose! {
    fn report()(
        (session, number, sent) in (session(), any::<u64>(), mono()),
        agents in vec(agent_report(), 0..3),
        usage in vec(usage_report(), 0..3),
        past in vec(past_report(), 0..3),
    ) -> Report {
        Report { session, number, sent, agents, usage, past }
    }
}

prop_compose! {
    fn hello()(
        proxy in "[a-z0-9.-]{1,10}",
        incarnation in any::<u64>(),
        resume in of(session()),
        sent in mono(),
    ) -> Hello {
        let proxy = ProxyId::new(&proxy).unwrap();
        Hello { proxy, incarnation, resume, sent }
    }
}

fn to_ledger() -> impl Strategy<Value = ToLedger> {
    prop_oneof![
        hello().prop_map(ToLedger::Hello),
        report().prop_map(ToLedger::Report),
        session().prop_map(|session| ToLedger::Goodbye { session }),
    ]
}

prop_compose! {
    fn denial()(
        limit in select(&[
            Limit::RequestsPerMinute,
            Limit::RequestsPerHour,
            Limit::TokensPerMinute,
            Limit::Concurrent,
        ][..]),
        allows in any::<u64>(),
        again in span(),
        releases in vec(span(), 1..=DENIAL_RELEASES),
    ) -> Denial {
        Denial { limit, allows, again, releases }
    }
}

prop_compose! {
    fn pool_update()(
        (granted, used) in any::<(u64, u64)>(),
        denial in of(denial()),
    ) -> PoolUpdate {
        PoolUpdate { granted, used, denial }
    }
}

prop_compose! {
    fn standing()(
        (limit, spent, unsettled, held) in (usd(), usd(), usd(), usd()),
        resets_in in span(),
    ) -> PeriodStanding {
        PeriodStanding { limit, spent, unsettled, held, resets_in }
    }
}

prop_compose! {
    fn money_update()(
        (today, ends_in) in (any_day(), span()),
        purses in vec((any_day(), usd(), usd()), 0..3),
        (day, month) in (of(standing()), of(standing())),
    ) -> MoneyUpdate {
        let purses = purses
            .into_iter()
            .map(|(day, granted, spent)| PurseUpdate { day, granted, spent })
            .collect();
        MoneyUpdate { today, ends_in, purses, standing: Standing { day, month } }
    }
}

prop_compose! {
    fn agent_update()(
        agent in agent(),
        (requests, tokens, slots) in (of(pool_update()), of(pool_update()), of(pool_update())),
        money in of(money_update()),
        recall in any::<u64>(),
    ) -> AgentUpdate {
        AgentUpdate { agent, requests, tokens, slots, money, recall }
    }
}

fn from_ledger() -> impl Strategy<Value = FromLedger> {
    let term = || any::<u64>().prop_map(Term::new);
    prop_oneof![
        (term(), session(), any::<bool>(), mono()).prop_map(|(term, session, resumed, sent)| {
            FromLedger::Welcome {
                term,
                session,
                resumed,
                sent,
            }
        }),
        session().prop_map(|session| FromLedger::Closed { session }),
        (
            (term(), session(), of(mono()), vec(any::<u64>(), 0..3)),
            vec(agent_update(), 0..3)
        )
            .prop_map(|((term, session, sent, confirmed), agents)| {
                FromLedger::Update(Update {
                    term,
                    session,
                    sent,
                    confirmed,
                    agents,
                })
            }),
    ]
}

/// The message after its way over the wire.
fn received<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn what_a_proxy_says_survives_the_wire(message in to_ledger()) {
        let wire = received(&v1::QuotaRequest::from(&message));
        prop_assert_eq!(ToLedger::try_from(wire), Ok(message));
    }

    #[test]
    fn what_the_ledger_says_survives_the_wire(message in from_ledger()) {
        let wire = received(&v1::QuotaResponse::from(&message));
        prop_assert_eq!(FromLedger::try_from(wire), Ok(message));
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..256)) {
        every_decoder(&bytes);
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(
        (to, from) in (to_ledger(), from_ledger()),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let to = v1::QuotaRequest::from(&to).encode_to_vec();
        let from = v1::QuotaResponse::from(&from).encode_to_vec();
        for mut bytes in [to, from] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            every_decoder(&bytes);
            every_decoder(&bytes[..at]);
        }
    }
}

fn every_decoder(bytes: &[u8]) {
    drop(v1::QuotaRequest::decode(bytes).map(ToLedger::try_from));
    drop(v1::QuotaResponse::decode(bytes).map(FromLedger::try_from));
}

fn wire_report(report: v1::QuotaReport) -> v1::QuotaRequest {
    v1::QuotaRequest {
        body: Some(FromProxy::Report(report)),
    }
}

/// A report of an agent with these requests and this money.
fn wire_agent(
    requests: Option<v1::PoolReport>,
    money: Option<v1::MoneyReport>,
) -> v1::QuotaRequest {
    wire_report(v1::QuotaReport {
        agents: vec![v1::AgentReport {
            agent: "batch".to_owned(),
            requests,
            money,
            ..v1::AgentReport::default()
        }],
        ..v1::QuotaReport::default()
    })
}

fn refusal(wire: v1::QuotaRequest) -> String {
    ToLedger::try_from(wire).unwrap_err().to_string()
}

#[test]
fn every_list_of_a_report_is_bounded() {
    let rows = |agents, usage, past| {
        wire_report(v1::QuotaReport {
            agents: vec![v1::AgentReport::default(); agents],
            usage: vec![v1::UsageReport::default(); usage],
            past: vec![v1::PastReport::default(); past],
            ..v1::QuotaReport::default()
        })
    };
    for (wire, field, most) in [
        (rows(REPORT_AGENTS + 1, 0, 0), "agents", REPORT_AGENTS),
        (rows(0, REPORT_ROWS + 1, 0), "usage", REPORT_ROWS),
        (rows(0, 0, REPORT_ROWS + 1), "past", REPORT_ROWS),
    ] {
        assert_eq!(
            refusal(wire),
            format!("field report.{field}: must have 0 to {most} entries")
        );
    }
    let uses = v1::PoolReport {
        use_age_ns: vec![1; USES_KEPT + 1],
        use_count: vec![1; USES_KEPT + 1],
        ..v1::PoolReport::default()
    };
    assert_eq!(
        refusal(wire_agent(Some(uses), None)),
        format!("field report.agents[0].requests.use_age_ns: must have 0 to {USES_KEPT} entries")
    );
    let purses = v1::MoneyReport {
        purses: vec![v1::PurseReport::default(); REPORT_PURSES + 1],
        ..v1::MoneyReport::default()
    };
    assert_eq!(
        refusal(wire_agent(None, Some(purses))),
        format!("field report.agents[0].money.purses: must have 0 to {REPORT_PURSES} entries")
    );
}

#[test]
fn the_money_of_every_day_that_is_kept_fits_an_update() {
    // Today, the days before it, and what is ahead of UTC or not archived yet.
    let days = usize::try_from(PURSE_DAYS).unwrap() + 4;
    let wire = v1::MoneyUpdate {
        today: 20_261_125,
        purses: vec![
            v1::PurseUpdate {
                day: 20_261_125,
                ..v1::PurseUpdate::default()
            };
            days
        ],
        ..v1::MoneyUpdate::default()
    };
    assert_eq!(MoneyUpdate::try_from(wire).unwrap().purses.len(), days);
}

#[test]
fn a_use_without_a_count_is_refused() {
    let uses = v1::PoolReport {
        use_age_ns: vec![1, 2],
        use_count: vec![1],
        ..v1::PoolReport::default()
    };
    assert_eq!(
        refusal(wire_agent(Some(uses), None)),
        "field report.agents[0].requests.use_count: must have 2 to 2 entries"
    );
}

#[test]
fn money_without_a_day_is_refused() {
    let money = v1::MoneyReport {
        purses: vec![v1::PurseReport::default()],
        ..v1::MoneyReport::default()
    };
    assert_eq!(
        refusal(wire_agent(None, Some(money))),
        "field report.agents[0].money.purses[0].day: must be a day, written as 20261125"
    );
}

#[test]
fn a_denial_names_a_release_and_a_limit() {
    let refused = |limit: v1::LimitKind, release_ns: Vec<u64>| {
        let denial = v1::Denial {
            limit: limit.into(),
            release_ns,
            ..v1::Denial::default()
        };
        Denial::try_from(denial).unwrap_err().to_string()
    };
    assert_eq!(
        refused(v1::LimitKind::Concurrent, Vec::new()),
        format!("field release_ns: must have 1 to {DENIAL_RELEASES} entries")
    );
    assert_eq!(
        refused(v1::LimitKind::Unspecified, vec![1]),
        "field limit: 0 is not a known value; it may come from a newer version"
    );
}

#[test]
fn nothing_said_is_refused() {
    assert_eq!(refusal(v1::QuotaRequest::default()), "field body: missing");
    assert_eq!(
        FromLedger::try_from(v1::QuotaResponse::default())
            .unwrap_err()
            .to_string(),
        "field body: missing"
    );
}
