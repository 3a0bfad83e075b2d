//! What goes wrong, and the end of it.

use agix_core::ledger::Input;
use agix_core::quota::Terms;
use agix_core::units::NanoUsd;

use super::event::Event;
use super::owners::OWNERSHIP;
use super::streams::Cut;
use super::{LINGER, OPENING, World};
use crate::clock::{MS, Nanos, S};
use crate::plan::Mix;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A proxy is killed.
    Kill,
    /// A proxy is stopped in order.
    Goodbye,
    /// A proxy stands still.
    Pause,
    /// Connections are cut.
    Cut,
    /// A stream breaks.
    Broken,
    /// The owner is killed.
    Owner,
    /// Another takes the ledger over.
    Usurper,
    /// An owner stands still.
    OwnerPause,
    /// A wall clock is set.
    Wall,
    /// The policy changes.
    Policy,
    /// An operator corrects what was spent.
    Adjust,
    /// Nothing goes wrong: streams that are over are forgotten.
    Sweep,
}

impl Fault {
    const ALL: [Self; 12] = [
        Self::Kill,
        Self::Goodbye,
        Self::Pause,
        Self::Cut,
        Self::Broken,
        Self::Owner,
        Self::Usurper,
        Self::OwnerPause,
        Self::Wall,
        Self::Policy,
        Self::Adjust,
        Self::Sweep,
    ];
}

impl World {
    pub(super) fn begin_faults(&mut self) {
        for fault in Fault::ALL {
            self.plan_fault(fault);
        }
    }

    fn plan_fault(&mut self, fault: Fault) {
        let faults = &self.plan.faults;
        let mean = match fault {
            Fault::Kill => faults.kill,
            Fault::Goodbye => faults.goodbye,
            Fault::Pause => faults.pause,
            Fault::Cut => faults.cut,
            Fault::Broken => faults.broken,
            Fault::Owner => faults.owner,
            Fault::Usurper => faults.usurper,
            Fault::OwnerPause => faults.owner_pause,
            Fault::Wall => faults.wall,
            Fault::Policy => faults.policy,
            Fault::Adjust => faults.adjust,
            Fault::Sweep => Some(60 * S),
        };
        if let Some(mean) = mean {
            let at = self.now.max(OPENING) + self.random.pause(mean);
            self.queue.push(at, Event::Fault(fault));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        if self.healed {
            return;
        }
        self.plan_fault(fault);
        let proxy = self.random.index(self.proxies.len());
        let plane = self.random.index(self.planes.len());
        match fault {
            Fault::Kill => self.kill(proxy),
            Fault::Goodbye => {
                if let Some(process) = &mut self.proxies[proxy].process {
                    process.draining = true;
                }
                self.with_proxy(proxy, |_, _| {});
            }
            Fault::Pause => {
                let span = self.span(20);
                let proxy = &mut self.proxies[proxy];
                proxy.paused += (self.now + span).saturating_sub(proxy.paused_until.max(self.now));
                proxy.paused_until = proxy.paused_until.max(self.now + span);
            }
            Fault::Cut => self.cut(proxy),
            Fault::Broken => self.sever(proxy),
            Fault::Owner => self.kill_owner(),
            Fault::Usurper => self.elect(plane),
            Fault::OwnerPause => {
                let span = self.span(15);
                let paused = &mut self.planes[plane].paused_until;
                *paused = (*paused).max(self.now + span);
            }
            Fault::Wall => self.set_wall(),
            Fault::Policy => self.change_policy(),
            Fault::Adjust => self.adjust(),
            Fault::Sweep => {
                self.forget_streams();
                self.check_waiting();
            }
        }
    }

    /// A span of time: mostly short, sometimes several leases long.
    fn span(&mut self, seconds: u64) -> Nanos {
        let long = self.random.permille(300);
        let most = if long { 3 * seconds } else { seconds / 3 };
        self.random.between(50 * MS, most * S)
    }

    fn cut(&mut self, proxy: usize) {
        let until = self.now + self.span(12);
        let one_way = self.random.below(3);
        self.cuts.retain(|cut| cut.until > self.now);
        self.cuts.push(Cut {
            proxy,
            up: one_way != 1,
            down: one_way != 2,
            until,
        });
    }

    /// The stream of a proxy breaks, with whatever is under way on it.
    fn sever(&mut self, proxy: usize) {
        let stream = self.proxies[proxy].process.as_ref();
        let Some(stream) = stream.and_then(|it| it.stream) else {
            return;
        };
        self.queue.push(self.now, Event::Lost { stream });
        let late = self.random.below(2 * S);
        self.queue.push(self.now + late, Event::Gone { stream });
    }

    fn kill_owner(&mut self) {
        let owner = self.planes.iter().position(|it| it.shift.is_some());
        let Some(owner) = owner else { return };
        self.step_down(owner);
        let reboots = self.random.permille(300);
        let plane = &mut self.planes[owner];
        plane.up = false;
        plane.incarnation += 1;
        let machine = plane.machine;
        if reboots {
            let boot = u128::from(self.random.bits()) | 1;
            let machine = &mut self.machines[machine];
            machine.boot = boot;
            machine.clock.since = self.now;
            machine.clock.origin = 0;
            // Every process of the machine ends with it.
            for other in 0..self.planes.len() {
                let it = &self.planes[other];
                if it.machine == self.planes[owner].machine && other != owner {
                    self.step_down(other);
                    self.planes[other].incarnation += 1;
                }
            }
        }
        let back = self.random.below(4 * S);
        self.queue
            .push(self.now + back, Event::StartPlane { plane: owner });
        let next = self.random.index(self.planes.len());
        let up = |it: &usize| self.planes[*it].up || *it == owner;
        let count = self.planes.len();
        let next = (0..count).map(|step| (next + step) % count).find(up);
        let pause = OWNERSHIP + self.random.below(S);
        let event = Event::Elect {
            plane: next.unwrap_or(owner),
        };
        self.queue.push(self.now + pause, event);
    }

    /// A wall clock is set: by up to an hour where one machine is all there is, else by no more than
    /// the clocks of machines may be apart.
    fn set_wall(&mut self) {
        let machine = self.random.index(self.machines.len());
        let most = if self.machines.len() == 1 && !self.reboots() {
            2 * 3_600_000
        } else {
            9_800
        };
        let ahead = self.random.below(most + 1);
        let half = most / 2;
        let ahead = i64::try_from(ahead).unwrap_or(0) - i64::try_from(half).unwrap_or(0);
        self.machines[machine].wall_ahead = ahead;
    }

    const fn reboots(&self) -> bool {
        self.plan.faults.owner.is_some()
    }

    fn change_policy(&mut self) {
        let agent = self.random.index(self.rules.len());
        let terms = &mut self.rules[agent].terms;
        match self.random.below(8) {
            0 => *terms = Terms::default(),
            1 => *terms = crate::plan::terms(false, &mut self.random),
            2 | 3 => {
                let scale = |limit: &mut Option<u64>, up: bool| {
                    if let Some(limit) = limit {
                        *limit = if up { *limit * 3 } else { (*limit / 3).max(1) };
                    }
                };
                let up = self.random.permille(500);
                scale(&mut terms.requests_per_minute, up);
                scale(&mut terms.requests_per_hour, up);
                scale(&mut terms.tokens_per_minute, up);
                scale(&mut terms.max_concurrent, up);
            }
            4 | 5 => {
                let up = self.random.permille(500);
                for limit in [&mut terms.daily, &mut terms.monthly].into_iter().flatten() {
                    let nanos = limit.as_nanos();
                    *limit = NanoUsd::from_nanos(if up { nanos * 2 } else { nanos / 2 + 1 });
                }
            }
            6 => *terms = self.plan.agents[agent].rules.terms.clone(),
            _ => self.rules[agent].rates_on_outage = self.plan.agents[0].rules.rates_on_outage,
        }
        let terms = self.rules[agent].terms.clone();
        self.oracle.changed(agent, &terms);
        self.version += 1;
        for proxy in 0..self.proxies.len() {
            let at = self.now + self.random.below(2 * S);
            let version = self.version;
            self.queue.push(at, Event::Rules { proxy, version });
        }
        let policy = self.policy();
        for plane in 0..self.planes.len() {
            if let Some(shift) = &mut self.planes[plane].shift {
                shift.set_policy(policy.clone(), self.version);
            }
            if self.planes[plane].paused_until <= self.now {
                self.round(plane);
            }
        }
        self.consider_policy();
    }

    /// Tells the oracle when everyone has the newest limits.
    pub(super) fn consider_policy(&mut self) {
        let version = self.version;
        let behind = |number: usize| self.versions[number] < version;
        let proxies = self
            .proxies
            .iter()
            .any(|it| it.process.is_some() && behind(it.number));
        let term = self.store.term;
        let owner = self.planes.iter().any(|it| {
            let shift = it.shift.as_ref().filter(|it| it.term == term);
            shift.is_some_and(|shift| {
                shift.version < version || !shift.inputs.is_empty() || shift.commit.is_some()
            })
        });
        if !proxies && !owner {
            self.oracle.settled();
        }
    }

    fn adjust(&mut self) {
        let agent = self.random.index(self.rules.len());
        let limit = self.rules[agent]
            .terms
            .daily
            .or(self.rules[agent].terms.monthly);
        let Some(limit) = limit else { return };
        let size = i64::try_from(self.random.below(limit.as_nanos() / 4 + 1)).unwrap_or(0);
        let nanos = if self.random.permille(500) {
            size
        } else {
            -size
        };
        let id = self.number();
        self.adjustments.insert(id);
        let input = Input::Adjust {
            id,
            agent: self.plan.agents[agent].name.clone(),
            nanos,
            author: "an operator".to_owned(),
            message: "a correction".to_owned(),
        };
        for plane in 0..self.planes.len() {
            if self.planes[plane].paused_until > self.now {
                continue;
            }
            if let Some(shift) = &mut self.planes[plane].shift {
                shift.inputs.push_back(input.clone());
                shift.inputs.push_back(input.clone());
            }
            self.round(plane);
        }
    }

    /// Nothing goes wrong any more, and no more requests come.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.cuts.clear();
        for plane in &mut self.planes {
            plane.up = true;
            plane.paused_until = plane.paused_until.min(self.now + S);
        }
        for proxy in &mut self.proxies {
            proxy.paused_until = proxy.paused_until.min(self.now + S);
        }
        let term = self.store.term;
        let owned = self
            .planes
            .iter()
            .any(|it| it.shift.as_ref().is_some_and(|it| it.term == term));
        if !owned && self.plan.mix != Mix::Calm {
            self.elect(0);
        }
        // What was lost within a stream is told again on another.
        if self.plan.net.lost > 0 {
            for proxy in 0..self.proxies.len() {
                self.sever(proxy);
            }
        }
        self.queue.push(self.now + LINGER, Event::Hush);
    }

    /// Nobody has waited for too long.
    fn check_waiting(&mut self) {
        for proxy in &self.proxies {
            for wait in proxy
                .process
                .iter()
                .flat_map(crate::proxy::Process::waiting)
            {
                self.oracle.waited(&wait, self.now, proxy.paused);
            }
        }
    }

    /// All requests end.
    pub(super) fn hush(&mut self) {
        self.check_waiting();
        for proxy in 0..self.proxies.len() {
            let process = self.proxies[proxy].process.as_ref();
            let requests: Vec<u64> = process
                .iter()
                .flat_map(|it| it.requests.keys().copied())
                .collect();
            self.with_proxy(proxy, |proxy, scene| {
                if let Some(process) = &mut proxy.process {
                    for request in requests {
                        process.leave(request, scene);
                    }
                }
            });
        }
    }
}
