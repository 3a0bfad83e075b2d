//! The queue in an unreliable world: proxies and owners die, streams break, answers come late.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::webhook::work::Step;

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}

/// A proxy: what it works on, and outcomes that are not confirmed.
#[derive(Default)]
struct Proxy {
    incarnation: u64,
    stream: Option<u64>,
    steps: BTreeMap<u64, Step>,
    unsaid: BTreeMap<u64, StepOutcome>,
}

struct World {
    random: Random,
    queue: Queue,
    now: Moment,
    term: u64,
    streams: u64,
    ids: u128,
    proxies: Vec<Proxy>,
    store: BTreeMap<ExecutionId, Stored>,
    deliveries: BTreeMap<DeliveryKey, ExecutionId>,
    /// Answered with 202.
    promised: BTreeMap<DeliveryKey, ExecutionId>,
    posted: BTreeMap<ExecutionId, u64>,
    asked: BTreeMap<ExecutionId, u32>,
    claims: BTreeMap<u64, (usize, u64, ExecutionId)>,
    tokens: BTreeMap<u64, DeliveryKey>,
    calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = Moment {
            mono: Mono::from_nanos(1),
            wall: Wall::from_millis(1_000_000_000),
        };
        Self {
            random: Random(seed),
            queue: Queue::new(Vec::new(), 1, seed, now),
            now,
            term: 1,
            streams: 0,
            ids: 0,
            proxies: (0..3).map(|_| Proxy::default()).collect(),
            store: BTreeMap::new(),
            deliveries: BTreeMap::new(),
            promised: BTreeMap::new(),
            posted: BTreeMap::new(),
            asked: BTreeMap::new(),
            claims: BTreeMap::new(),
            tokens: BTreeMap::new(),
            calm: false,
        }
    }

    fn step(&mut self) {
        let pick = self.random.below(if self.calm { 60 } else { 100 });
        let proxy = usize::try_from(self.random.below(3)).unwrap();
        match pick {
            0..30 => self.work(proxy),
            30..45 => self.connect(proxy),
            45..60 => self.pass(),
            60..80 => self.receive(),
            80..88 => self.cut(proxy),
            88..94 => self.kill(proxy),
            94..97 => self.release(proxy),
            _ => self.restart_owner(),
        }
    }

    fn pass(&mut self) {
        let millis = self.random.below(if self.calm { 600_000 } else { 8_000 });
        let span = Duration::from_millis(millis);
        self.now.mono = self.now.mono.after(span);
        // The wall clock is set now and then.
        let set = if self.random.below(50) == 0 {
            -20_000
        } else {
            0
        };
        let wall = later(self.now.wall, span).as_millis() + set;
        self.now.wall = Wall::from_millis(wall);
        for proxy in 0..self.proxies.len() {
            if self.random.below(4) != 0 {
                self.say(proxy, ToQueue::Alive);
            }
        }
        self.queue.handle_timeout(self.now);
        self.commit(false);
    }

    fn receive(&mut self) {
        let key = DeliveryKey::new([u8::try_from(self.random.below(120)).unwrap(); 32]);
        self.ids += 1;
        let token = u64::try_from(self.ids).unwrap();
        self.tokens.insert(token, key);
        if let Some(known) = self.deliveries.get(&key) {
            self.queue.answer_repeated(token, *known);
        } else {
            let id = ExecutionId::new(self.now.wall, self.ids);
            let proxy = self.random.below(3);
            let input = Input::Received {
                token,
                id,
                webhook: name("w"),
                delivery: key,
                hash: *key.as_bytes(),
                payload: body("payload"),
                proxy: ProxyId::new(&format!("p{proxy}")).unwrap(),
            };
            self.queue.handle(input, self.now);
        }
        self.commit(false);
    }

    fn connect(&mut self, number: usize) {
        let proxy = &mut self.proxies[number];
        if proxy.stream.is_some() {
            return;
        }
        self.streams += 1;
        proxy.stream = Some(self.streams);
        let claims = proxy.steps.keys().chain(proxy.unsaid.keys()).copied();
        let hello = ToQueue::Hello {
            worker: worker(&format!("p{number}"), proxy.incarnation),
            slots: 2,
            claims: claims.collect(),
        };
        let unsaid = proxy.unsaid.clone();
        self.say(number, hello);
        for (claim, outcome) in unsaid {
            self.say(number, ToQueue::Done { claim, outcome });
        }
        self.commit(false);
    }

    fn say(&mut self, number: usize, message: ToQueue) {
        if let Some(stream) = self.proxies[number].stream {
            self.queue.handle(Input::Said { stream, message }, self.now);
        }
    }

    fn work(&mut self, number: usize) {
        let Some((claim, step)) = self.proxies[number].steps.pop_first() else {
            return;
        };
        if matches!(step.work, Work::Run { .. }) {
            *self.asked.entry(step.execution).or_default() += 1;
        }
        let outcome = match step.work {
            Work::Run { .. } => StepOutcome::Ran(match self.random.below(6) {
                0 => failed(false),
                1 | 2 => failed(true),
                _ => answered(),
            }),
            Work::CallBack { .. } => match self.random.below(if self.calm { 2 } else { 9 }) {
                0 | 1 => {
                    *self.posted.entry(step.execution).or_default() += 1;
                    status(200)
                }
                2 => status(410),
                3 => {
                    // It arrived, and the answer did not.
                    *self.posted.entry(step.execution).or_default() += 1;
                    post(CallbackOutcome::Failed("timeout".to_owned()))
                }
                _ => status(503),
            },
        };
        self.proxies[number].unsaid.insert(claim, outcome.clone());
        self.say(number, ToQueue::Done { claim, outcome });
        self.commit(false);
    }

    fn release(&mut self, number: usize) {
        if let Some((claim, _)) = self.proxies[number].steps.pop_first() {
            self.say(number, ToQueue::Released { claim });
            self.commit(false);
        }
    }

    fn cut(&mut self, number: usize) {
        let Some(stream) = self.proxies[number].stream.take() else {
            return;
        };
        // The queue may hear of it much later.
        if self.random.below(2) == 0 {
            self.queue.handle(Input::Gone { stream }, self.now);
            self.commit(false);
        }
    }

    fn kill(&mut self, number: usize) {
        let stream = self.proxies[number].stream;
        self.proxies[number] = Proxy {
            incarnation: self.proxies[number].incarnation + 1,
            ..Proxy::default()
        };
        if let Some(stream) = stream.filter(|_| self.random.below(2) == 0) {
            self.queue.handle(Input::Gone { stream }, self.now);
            self.commit(false);
        }
    }

    /// The owner dies: with what it has stored, and perhaps without having said it.
    fn restart_owner(&mut self) {
        if self.random.below(2) == 0 {
            self.commit(true);
        }
        self.term += 1;
        for proxy in &mut self.proxies {
            proxy.stream = None;
        }
        self.tokens.clear();
        let stored = self.store.values().cloned().collect();
        let jitter = self.random.below(u64::MAX);
        self.queue = Queue::new(stored, self.term, jitter, self.now);
    }

    fn commit(&mut self, silent: bool) {
        let drained = self.queue.drain(self.now);
        for change in drained.changes {
            self.keep(change);
        }
        if silent {
            return;
        }
        for (token, answer) in drained.answers {
            if let Answer::Accepted { id, .. } = answer {
                let key = self.tokens[&token];
                assert!(self.store.contains_key(&id), "202 before the commit");
                let promised = *self.promised.entry(key).or_insert(id);
                assert_eq!(promised, id, "a repeated delivery got another id");
            }
        }
        for (stream, message) in drained.messages {
            let mut proxies = self.proxies.iter().enumerate();
            let to = proxies.find(|(_, proxy)| proxy.stream == Some(stream));
            let Some((number, _)) = to else { continue };
            self.hear(number, message);
        }
        for stream in drained.ended {
            for proxy in &mut self.proxies {
                proxy.stream = proxy.stream.filter(|it| *it != stream);
            }
        }
    }

    fn keep(&mut self, change: Change) {
        let Change::Is {
            execution,
            payload,
            result,
            delivery,
        } = change
        else {
            panic!("nothing is old enough to be forgotten");
        };
        let id = execution.id;
        assert!(execution.runs <= WEBHOOK_ATTEMPTS);
        assert_eq!(
            execution.state.is_final(),
            execution.finished.is_some(),
            "{execution:?}"
        );
        if let Some(before) = self.store.get(&id) {
            assert!(
                !before.execution.state.is_final(),
                "something after the end"
            );
            assert!(!before.execution.has_result() || execution.has_result());
            assert!(before.execution.claim != execution.claim || execution.claim.is_none());
        }
        let stored = self.store.entry(id).or_insert_with(|| Stored {
            execution: (*execution).clone(),
            payload: None,
            result: None,
        });
        stored.execution = *execution;
        if let Some(payload) = payload {
            stored.payload = Some((*payload).clone());
        }
        if let Some(result) = result {
            assert!(stored.result.is_none(), "a second result");
            stored.result = Some((*result).clone());
        }
        if let Some(delivery) = delivery {
            assert_eq!(self.deliveries.insert(delivery, id), None);
        }
    }

    fn hear(&mut self, number: usize, message: FromQueue) {
        match message {
            FromQueue::Welcome { .. } => {}
            FromQueue::Step(step) => {
                let stored = &self.store[&step.execution].execution;
                let claim = stored.claim.as_ref().map(|claim| claim.number);
                assert_eq!(claim, Some(step.claim), "told before it is stored");
                let incarnation = self.proxies[number].incarnation;
                let whose = (number, incarnation, step.execution);
                let known = self.claims.insert(step.claim, whose);
                assert!(known.is_none_or(|known| known == whose), "a claim of two");
                if known.is_none() && matches!(step.work, Work::Run { .. }) {
                    assert!(!stored.has_result(), "asked again after the result");
                }
                assert!(
                    self.proxies[number].steps.len() < 3,
                    "more than it has room for"
                );
                self.proxies[number].steps.insert(step.claim, step);
            }
            FromQueue::Recorded { claim } => {
                self.proxies[number].unsaid.remove(&claim);
            }
            FromQueue::Revoked { claim } => {
                self.proxies[number].steps.remove(&claim);
                self.proxies[number].unsaid.remove(&claim);
            }
        }
    }

    fn check(&self) {
        let open = self
            .store
            .values()
            .filter(|it| !it.execution.state.is_final());
        assert_eq!(self.queue.open, open.count());
        let held: BTreeSet<_> = self.queue.claims.values().collect();
        assert_eq!(held.len(), self.queue.claims.len(), "two claims of one");
        for (id, slot) in &self.queue.slots {
            let is_ready = slot
                .execution
                .due
                .is_some_and(|due| self.queue.ready.contains(&(due, *id)));
            let is_claimed = held.contains(id);
            let is_open = !slot.execution.state.is_final();
            assert_eq!(is_open, is_ready || is_claimed, "{:?}", slot.execution);
            assert!(!(is_ready && is_claimed));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_dies_what_was_accepted_ends_delivered_or_dead(seed in any::<u64>()) {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step();
            world.check();
        }
        world.calm = true;
        for _ in 0..4_000 {
            world.step();
            if world.queue.open == 0 {
                break;
            }
        }
        world.check();
        for id in world.promised.values() {
            let stored = &world.store[id];
            let execution = &stored.execution;
            prop_assert!(execution.state.is_final(), "{execution:?}");
            prop_assert!(stored.result.is_some());
            let is_delivered = world.posted.contains_key(id);
            prop_assert!(execution.state == State::Dead || is_delivered, "{execution:?}");
            prop_assert!(world.asked.get(id).copied().unwrap_or(0) <= WEBHOOK_ATTEMPTS);
        }
        prop_assert_eq!(world.queue.open_bytes, 0);
    }
}
