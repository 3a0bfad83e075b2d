use std::sync::Arc;

use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::ledger::{
    AgentBooks, AlertPeriod, Entry, Holding, LedgerTime, Part, Purse, SessionBook, UsageRow,
};
use agix_core::limits::CHUNK_MOST_BYTES;
use agix_core::policy::TimeZoneName;
use agix_core::quota::{Day, Pool, SessionId, Terms};
use agix_core::rate::Cooling;
use agix_core::units::{AlertPercent, NanoUsd};
use agix_core::usage::UsageTotals;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

mod frozen;

fn agent() -> impl Strategy<Value = AgentName> {
    "[a-e][a-z0-9._:@-]{0,8}".prop_map(|it| AgentName::new(&it).unwrap())
}

fn model() -> impl Strategy<Value = ModelName> {
    "[a-e][a-z0-9._:@/+-]{0,8}".prop_map(|it| ModelName::new(&it).unwrap())
}

fn proxy() -> impl Strategy<Value = ProxyId> {
    "[a-z0-9.-]{1,8}".prop_map(|it| ProxyId::new(&it).unwrap())
}

fn session() -> impl Strategy<Value = SessionId> {
    prop_oneof![0..9_u64, any::<u64>()].prop_map(SessionId::new)
}

fn time() -> impl Strategy<Value = LedgerTime> {
    any::<u64>().prop_map(LedgerTime::from_nanos)
}

fn usd() -> impl Strategy<Value = NanoUsd> {
    any::<u64>().prop_map(NanoUsd::from_nanos)
}

fn day() -> impl Strategy<Value = Day> {
    (0_u16..=9_999, 1_u8..=12, 1_u8..=31).prop_map(|(y, m, d)| Day::new(y, m, d).unwrap())
}

fn pool() -> impl Strategy<Value = Pool> {
    select(&Pool::ALL[..])
}

fn percent() -> impl Strategy<Value = AlertPercent> {
    (1_u64..=100).prop_map(|it| AlertPercent::new(it).unwrap())
}

fn period() -> impl Strategy<Value = AlertPeriod> {
    (day(), any::<bool>()).prop_map(|(day, month)| {
        if month {
            AlertPeriod::Month(day.month())
        } else {
            AlertPeriod::Day(day)
        }
    })
}

fn clock() -> impl Strategy<Value = ClockMark> {
    let boot = prop_oneof![Just(0), any::<u128>()];
    (any::<i64>(), boot, any::<u64>()).prop_map(|(wall, boot, since_boot)| ClockMark {
        wall: Wall::from_millis(wall),
        boot,
        since_boot,
    })
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
    fn terms()(
        [requests_per_minute, requests_per_hour, tokens_per_minute, max_concurrent] in
            any::<[Option<u64>; 4]>(),
        (daily, monthly, soft) in (of(usd()), of(usd()), any::<bool>()),
        timezone in select(&["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"][..]),
        alerts in vec(percent(), 0..3),
    ) -> Terms {
        Terms {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            daily,
            monthly,
            soft,
            timezone: TimeZoneName::new(timezone, |_| true).unwrap(),
            alerts,
        }
    }
}

fn of_sessions() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (session(), proxy(), any::<u64>(), time()).prop_map(
            |(session, proxy, incarnation, until)| Entry::SessionOpened {
                session,
                proxy,
                incarnation,
                until,
            }
        ),
        (session(), time()).prop_map(|(session, until)| Entry::Renewed { session, until }),
        session().prop_map(|session| Entry::SessionClosed { session }),
        session().prop_map(|session| Entry::Forgotten { session }),
    ]
}

fn of_rights() -> impl Strategy<Value = Entry> {
    let uses = || vec((time(), any::<u64>()), 0..4);
    prop_oneof![
        (agent(), terms()).prop_map(|(agent, terms)| Entry::Terms { agent, terms }),
        (session(), agent(), pool(), any::<u64>()).prop_map(|(session, agent, pool, amount)| {
            Entry::Granted {
                session,
                agent,
                pool,
                amount,
            }
        }),
        (session(), agent(), pool(), uses(), any::<u64>()).prop_map(
            |(session, agent, pool, uses, returned)| Entry::Used {
                session,
                agent,
                pool,
                uses,
                returned,
            }
        ),
    ]
}

fn of_money() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (agent(), day()).prop_map(|(agent, day)| Entry::DayBegan { agent, day }),
        (session(), agent(), day(), usd()).prop_map(|(session, agent, day, amount)| {
            Entry::Escrowed {
                session,
                agent,
                day,
                amount,
            }
        }),
        (
            (session(), agent(), day()),
            usd(),
            usd(),
            any::<[bool; 2]>()
        )
            .prop_map(
                |((session, agent, day), spent, released, [estimated, last])| Entry::Settled {
                    session,
                    agent,
                    day,
                    spent,
                    released,
                    estimated,
                    last,
                }
            ),
        (
            (any::<u64>(), agent(), day()),
            any::<i64>(),
            ".{0,9}",
            ".{0,9}"
        )
            .prop_map(
                |((id, agent, day), nanos, author, message)| Entry::Adjusted {
                    id,
                    agent,
                    day,
                    nanos,
                    author,
                    message,
                }
            ),
        (agent(), period(), percent(), usd(), usd()).prop_map(
            |(agent, period, percent, limit, spent)| Entry::Alert {
                agent,
                period,
                percent,
                limit,
                spent,
            }
        ),
        day().prop_map(|before| Entry::Archived { before }),
    ]
}

fn of_usage() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (
            (session(), agent(), model()),
            day(),
            any::<bool>(),
            totals()
        )
            .prop_map(
                |((session, agent, model), day, budgeted, totals)| Entry::Usage {
                    session,
                    agent,
                    model,
                    day,
                    budgeted,
                    totals,
                }
            ),
        day().prop_map(|before| Entry::UsageDropped { before }),
    ]
}

prop_compose! {
    fn batch()(
        (number, at, clock) in (any::<u64>(), time(), clock()),
        entries in vec(prop_oneof![of_sessions(), of_rights(), of_money(), of_usage()], 0..60),
    ) -> Batch {
        Batch { number, at, clock, entries }
    }
}

fn cooling() -> impl Strategy<Value = Cooling> {
    vec((time(), any::<u64>()), 0..4).prop_map(|it| it.into_iter().collect())
}

prop_compose! {
    fn holding()([granted, used, returned] in any::<[u64; 3]>()) -> Holding {
        Holding { granted, used, returned }
    }
}

prop_compose! {
    fn purse()(
        (closed, adjusted) in (usd(), any::<i64>()),
        parts in btree_map(session(), (usd(), usd(), usd(), any::<(bool, bool)>()), 0..3),
    ) -> Purse {
        let part = |(granted, spent, released, (estimated, last))| {
            Part { granted, spent, released, estimated, last }
        };
        let parts = parts.into_iter().map(|(session, it)| (session, part(it))).collect();
        Purse { closed, adjusted, parts }
    }
}

prop_compose! {
    fn agent_books()(
        terms in terms(),
        (minute, hour, tokens) in (cooling(), cooling(), cooling()),
        requests_held in btree_map(session(), holding(), 0..3),
        tokens_held in btree_map(session(), holding(), 0..3),
        slots_held in btree_map(session(), holding(), 0..3),
        day in of(day()),
        purses in btree_map(day(), purse(), 0..3),
        alerts in btree_set((period(), percent(), usd()), 0..3),
    ) -> AgentBooks {
        AgentBooks {
            terms,
            minute,
            hour,
            tokens,
            requests_held,
            tokens_held,
            slots_held,
            day,
            purses,
            alerts,
        }
    }
}

prop_compose! {
    fn session_book()(
        (proxy, incarnation, open) in (proxy(), any::<u64>(), any::<bool>()),
        until in time(),
        agents in btree_set(agent(), 0..4),
        usage in btree_map((agent(), model(), of(day())), totals(), 0..4),
    ) -> SessionBook {
        SessionBook { proxy, incarnation, until, open, agents, usage }
    }
}

fn usage_row() -> impl Strategy<Value = UsageRow> {
    (day(), agent(), model()).prop_map(|(day, agent, model)| UsageRow { day, agent, model })
}

prop_compose! {
    fn books()(
        (number, time, clock) in (any::<u64>(), time(), clock()),
        sessions_opened in any::<u64>(),
        sessions in btree_map(session(), session_book(), 0..4),
        agents in btree_map(agent(), agent_books().prop_map(Arc::new), 0..4),
        usage in btree_map(usage_row(), totals(), 0..4),
        adjustments in vec(any::<u64>(), 0..4),
    ) -> Books {
        Books {
            number,
            time,
            clock,
            sessions_opened,
            sessions,
            agents,
            usage,
            adjustments: adjustments.into(),
        }
    }
}

proptest! {
    #[test]
    fn a_batch_is_read_as_it_was_written(batch in batch()) {
        prop_assert_eq!(decode_batch(&encode_batch(&batch)).unwrap(), batch);
    }

    #[test]
    fn books_are_read_as_they_were_written(books in books()) {
        let bytes = encode_books(&books);
        let read = decode_books(&bytes).unwrap();
        prop_assert_eq!(&encode_books(&read), &bytes);
        prop_assert_eq!(read, books);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..256), form in 0_u8..4) {
        every_decoder(&bytes);
        let mut formed = vec![form];
        formed.extend(bytes);
        every_decoder(&formed);
    }

    #[test]
    fn no_damage_of_a_batch_makes_its_decoder_panic(
        batch in batch(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode_batch(&batch);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        every_decoder(&bytes);
        every_decoder(&bytes[..at]);
    }

    #[test]
    fn damage_of_a_snapshot_is_noticed_or_harmless(
        books in books(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let mut bytes = encode_books(&books);
        let at = at.index(bytes.len());
        prop_assert!(decode_books(&bytes[..at]).is_err());
        bytes[at] ^= 1 << bit;
        // A changed byte may still point at an equal piece of the content.
        if let Ok(read) = decode_books(&bytes) {
            prop_assert_eq!(read, books);
        }
    }
}

fn every_decoder(bytes: &[u8]) {
    drop(decode_batch(bytes));
    drop(decode_books(bytes));
}

fn named<T>(name: &str, new: impl FnOnce(&str) -> Result<T, agix_core::id::InvalidName>) -> T {
    new(name).unwrap()
}

/// Books of this many agents, each with something of everything.
fn many(agents: u64) -> Books {
    let session = SessionId::new(1);
    let mut books = Books {
        sessions_opened: 1,
        ..Books::default()
    };
    for number in 0..agents {
        let mut one = AgentBooks {
            minute: (0..5)
                .map(|step| (LedgerTime::from_nanos(number + step * 1_000_000), 1))
                .collect(),
            ..AgentBooks::default()
        };
        one.holding(Pool::Requests, session).granted = number;
        one.purse(Day::FIRST).part(session).spent = NanoUsd::from_nanos(number);
        let name = named(&format!("agent-{number}"), AgentName::new);
        books.agents.insert(name, one.into());
    }
    books
}

#[test]
fn books_longer_than_a_block_are_read_as_they_were_written() {
    let books = many(10_000);
    let bytes = encode_books(&books);
    let content = frame::read_with_hash(&bytes[1..]).unwrap();
    assert!(content.len() > 2 * CHUNK_MOST_BYTES);
    assert!(bytes.len() < content.len());
    assert_eq!(decode_books(&bytes).unwrap(), books);
}

#[test]
fn a_long_batch_is_stored_compressed() {
    let entry = |number: u64| Entry::Granted {
        session: SessionId::new(number),
        agent: named("batch-agent", AgentName::new),
        pool: Pool::Requests,
        amount: 5,
    };
    let batch = |entries: u64| Batch {
        number: 7,
        at: LedgerTime::from_nanos(1),
        clock: ClockMark::default(),
        entries: (0..entries).map(entry).collect(),
    };
    let (short, long) = (batch(3), batch(100_000));
    let bytes = encode_batch(&short);
    assert_eq!(bytes[0], PLAIN_BATCH);
    assert_eq!(decode_batch(&bytes).unwrap(), short);
    let bytes = encode_batch(&long);
    assert_eq!(bytes[0], COMPRESSED_BATCH);
    assert!(bytes.len() < 100_000 * 12);
    assert_eq!(decode_batch(&bytes).unwrap(), long);
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    let text = |error: InvalidStored| error.to_string();
    assert!(matches!(decode_batch(&[]), Err(InvalidStored::Short)));
    assert!(matches!(decode_books(&[]), Err(InvalidStored::Short)));
    assert!(matches!(decode_batch(&[9]), Err(InvalidStored::Form(9))));
    assert!(matches!(decode_books(&[2]), Err(InvalidStored::Form(2))));
    // Kind 40 of an entry, as a later version might write it.
    let batch = [1, 0x1a, 0x00, 0x22, 0x03, 0xc2, 0x02, 0x00];
    assert_eq!(
        text(decode_batch(&batch).unwrap_err()),
        "its field `entry` is missing or has a value that this version of agix does not know"
    );
    // Pool 9 of a grant.
    let batch = [
        1, 0x1a, 0x00, 0x22, 0x07, 0x2a, 0x05, 0x12, 0x01, b'a', 0x18, 0x09,
    ];
    assert!(text(decode_batch(&batch).unwrap_err()).contains("`pool`"));
    // A block that says it has 4 GiB.
    let mut huge = vec![COMPRESSED_BATCH];
    huge.extend([0xff; 8]);
    assert!(matches!(
        decode_batch(&huge),
        Err(InvalidStored::Length(u32::MAX))
    ));
}
