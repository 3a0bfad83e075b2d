//! Examples of everything stored, with the bytes that were stored once. These bytes never change.

use std::fmt::Write as _;

use super::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.split_whitespace().flat_map(str::chars).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn today() -> Day {
    Day::new(2026, 11, 25).unwrap()
}

fn batch_agent() -> AgentName {
    named("batch", AgentName::new)
}

fn gpt() -> ModelName {
    named("gpt-4o", ModelName::new)
}

fn east() -> ProxyId {
    named("east-1", ProxyId::new)
}

fn at(millis: u64) -> LedgerTime {
    LedgerTime::from_nanos(millis * 1_000_000)
}

fn some_totals() -> UsageTotals {
    UsageTotals {
        requests: 1,
        estimated: 2,
        unpriced: 3,
        input: 4,
        cached_input: 5,
        cache_write: 6,
        output: 7,
        reasoning: 8,
        cost: NanoUsd::from_nanos(9),
    }
}

fn some_terms() -> Terms {
    Terms {
        requests_per_minute: Some(1),
        requests_per_hour: Some(2),
        tokens_per_minute: Some(3),
        max_concurrent: Some(4),
        daily: Some(NanoUsd::from_nanos(5)),
        monthly: Some(NanoUsd::from_nanos(6)),
        soft: true,
        timezone: TimeZoneName::default(),
        alerts: vec![AlertPercent::new(80).unwrap()],
    }
}

fn mark() -> ClockMark {
    ClockMark {
        wall: Wall::from_millis(1_700_000_000_000),
        boot: 1,
        since_boot: 2,
    }
}

/// One of each kind that is about sessions and rights, with its stored form.
fn rights() -> Vec<(Entry, &'static str)> {
    let session = SessionId::new(3);
    let opened = Entry::SessionOpened {
        session,
        proxy: east(),
        incarnation: 4,
        until: LedgerTime::from_nanos(5),
    };
    let renewed = Entry::Renewed {
        session,
        until: LedgerTime::from_nanos(5),
    };
    let terms = Entry::Terms {
        agent: batch_agent(),
        terms: some_terms(),
    };
    let granted = Entry::Granted {
        session,
        agent: batch_agent(),
        pool: Pool::Requests,
        amount: 5,
    };
    let used = Entry::Used {
        session,
        agent: batch_agent(),
        pool: Pool::Tokens,
        uses: vec![(at(2), 1), (at(1), 6)],
        returned: 7,
    };
    vec![
        (opened, "0a0e08031206656173742d3118042005"),
        (renewed, "120408031005"),
        (Entry::SessionClosed { session }, "1a020803"),
        (
            terms,
            "221f0a0562617463681216080110021803200428053006380142035554434a0150",
        ),
        (granted, "2a0d08031205626174636818012005"),
        (
            used,
            "321c0803120562617463681802220d0a078092f401ff887a120201062807",
        ),
        (Entry::Forgotten { session }, "6a020803"),
    ]
}

/// One of each kind that is about money and usage, with its stored form.
fn money() -> Vec<(Entry, &'static str)> {
    let session = SessionId::new(3);
    let money = NanoUsd::from_nanos;
    let began = Entry::DayBegan {
        agent: batch_agent(),
        day: today(),
    };
    let escrowed = Entry::Escrowed {
        session,
        agent: batch_agent(),
        day: today(),
        amount: money(5),
    };
    let settled = Entry::Settled {
        session,
        agent: batch_agent(),
        day: today(),
        spent: money(5),
        released: money(6),
        estimated: true,
        last: true,
    };
    let usage = Entry::Usage {
        session,
        agent: batch_agent(),
        model: gpt(),
        day: today(),
        budgeted: true,
        totals: some_totals(),
    };
    let adjusted = Entry::Adjusted {
        id: 1,
        agent: batch_agent(),
        day: today(),
        nanos: -1_500_000_000,
        author: "ada".to_owned(),
        message: "why".to_owned(),
    };
    let alert = Entry::Alert {
        agent: batch_agent(),
        period: AlertPeriod::Month(today().month()),
        percent: AlertPercent::new(80).unwrap(),
        limit: money(5),
        spent: money(4),
    };
    vec![
        (began, "3a0c0a0562617463681085d2d409"),
        (escrowed, "42100803120562617463681885d2d4092005"),
        (settled, "4a160803120562617463681885d2d4092005280630013801"),
        (
            usage,
            "522c0803120562617463681a066770742d346f2085d2d40928013212080110021803200428053006380740084809",
        ),
        (
            adjusted,
            "5a1e0801120562617463681885d2d40920ffbbc1960b2a036164613203776879",
        ),
        (alert, "62160a056261746368120708edd1d4091001185020052804"),
        (Entry::Archived { before: today() }, "72050885d2d409"),
        (Entry::UsageDropped { before: today() }, "7a050885d2d409"),
    ]
}

fn some_books() -> Books {
    let session = SessionId::new(3);
    let money = NanoUsd::from_nanos;
    let holding = |granted| Holding {
        granted,
        used: 2,
        returned: 1,
    };
    let part = Part {
        granted: money(9),
        spent: money(4),
        released: money(1),
        estimated: true,
        last: false,
    };
    let purse = Purse {
        closed: money(5),
        adjusted: -6,
        parts: [(session, part)].into(),
    };
    let percent = AlertPercent::new(80).unwrap();
    let agent = AgentBooks {
        terms: some_terms(),
        minute: [(at(1), 2), (at(3), 4)].into_iter().collect(),
        hour: [(at(5), 6)].into_iter().collect(),
        tokens: [(at(7), 8)].into_iter().collect(),
        requests_held: [(session, holding(4))].into(),
        tokens_held: [(session, holding(5))].into(),
        slots_held: [(session, holding(6))].into(),
        day: Some(today()),
        purses: [(today(), purse)].into(),
        alerts: [(AlertPeriod::Day(today()), percent, money(7))].into(),
    };
    let book = SessionBook {
        proxy: east(),
        incarnation: 4,
        until: at(2),
        open: true,
        agents: [batch_agent()].into(),
        usage: [((batch_agent(), gpt(), Some(today())), some_totals())].into(),
    };
    let row = UsageRow {
        day: today(),
        agent: batch_agent(),
        model: gpt(),
    };
    Books {
        number: 1,
        time: at(2),
        clock: mark(),
        sessions_opened: 3,
        sessions: [(session, book)].into(),
        agents: [(batch_agent(), agent.into())].into(),
        usage: [(row, some_totals())].into(),
        adjustments: [8, 9].into(),
    }
}

/// A stored snapshot of [`some_books`].
const SNAPSHOT_BYTES: &str = "
    010000012d000000f0fa062b0a2908011080897a1a1b0880a0abfef9621210000100f21901180220032a0208
    0945124308031206656173742d3118042080897a2801320562617463683a280a0900f21812066770742d346f
    1885d2d40922120801100218032004280530063807400848098e011a8b010a36002912162000f01501420355
    54434a01501a0d0a0780897a8092f4011202020422090a0480ade2041201062a0b00f002bfd6061201083208
    08031004180220013a0a0010050a0010420a0010060a0010488000305215080700f2051005180b220a080310
    091804200128015a0b0a0519005f5018072a22bb00106038074008480969e09423ee22665b8e6c4ad89851bb
    f95e615cf95c2195b3325abb5b0469e93a
";
/// Its content.
const SNAPSHOT_CONTENT: &str = "
    2b0a2908011080897a1a1b0880a0abfef962121000000000000000000000000000000001180220032a020809
    45124308031206656173742d3118042080897a2801320562617463683a280a05626174636812066770742d34
    6f1885d2d40922120801100218032004280530063807400848098e011a8b010a056261746368121608011002
    1803200428053006380142035554434a01501a0d0a0780897a8092f4011202020422090a0480ade204120106
    2a090a0480bfd606120108320808031004180220013a080803100518022001420808031006180220014885d2
    d40952150885d2d4091005180b220a080310091804200128015a0b0a050885d2d409105018072a22280a0562
    6174636812066770742d346f1885d2d4092212080110021803200428053006380740084809
";

#[test]
fn an_entry_is_stored_as_ever() {
    for (entry, bytes) in rights().into_iter().chain(money()) {
        let stored = StoredEntry::from(&entry).encode_to_vec();
        assert_eq!(hex(&stored), bytes, "{entry:?}");
    }
}

#[test]
fn a_batch_is_stored_as_ever() {
    let batch = Batch {
        number: 1,
        at: LedgerTime::from_nanos(2),
        clock: mark(),
        entries: vec![Entry::SessionClosed {
            session: SessionId::new(3),
        }],
    };
    assert_eq!(
        hex(&encode_batch(&batch)),
        "01080110021a1b0880a0abfef962121000000000000000000000000000000001180222041a020803"
    );
}

#[test]
fn books_are_stored_as_ever() {
    let stored = unhex(SNAPSHOT_BYTES);
    assert_eq!(decode_books(&stored).unwrap(), some_books());
    // The compression may get better; what is compressed stays the same.
    let content = |bytes: &[u8]| hex(&frame::read_with_hash(&bytes[1..]).unwrap());
    assert_eq!(
        content(&stored),
        SNAPSHOT_CONTENT.replace(char::is_whitespace, "")
    );
    assert_eq!(content(&encode_books(&some_books())), content(&stored));
}
