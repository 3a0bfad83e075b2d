//! What happens at proxies.

use super::World;
use super::event::Event;
use crate::clock::{MS, S};
use crate::proxy::{Act, Journal, Proxy, Scene};

impl World {
    /// Lets a proxy do something, then whatever is due, and carries out what it wants done.
    pub(super) fn with_proxy(
        &mut self,
        number: usize,
        does: impl FnOnce(&mut Proxy, &mut Scene<'_>),
    ) {
        let proxy = &mut self.proxies[number];
        let mut acts = Vec::new();
        let mut scene = Scene {
            now: self.now,
            mono: proxy.clock.at(self.now),
            paused: proxy.paused,
            oracle: &mut self.oracle,
            random: &mut self.random,
            acts: &mut acts,
        };
        does(proxy, &mut scene);
        proxy.pump(&mut scene);
        self.carry_out(number, acts);
        self.drain(number);
        self.plan_wake(number);
    }

    fn carry_out(&mut self, number: usize, acts: Vec<Act>) {
        let process = self.proxies[number].process.as_ref();
        let incarnation = process.map_or(0, |it| it.incarnation);
        for act in acts {
            match act {
                Act::Open { attempt } => self.dial(number, attempt),
                Act::Say(message) => self.say(number, &message),
                Act::Close => self.hang_up(number),
                Act::Step { request, step, at } => self.queue.push(
                    at,
                    Event::Step {
                        proxy: number,
                        incarnation,
                        request,
                        step,
                    },
                ),
                Act::Leave { request, at } => self.queue.push(
                    at,
                    Event::Leave {
                        proxy: number,
                        incarnation,
                        request,
                    },
                ),
                Act::Over { agent, refusal } => self.over(agent, refusal.as_ref()),
            }
        }
    }

    /// Plans when the proxy is looked at next.
    fn plan_wake(&mut self, number: usize) {
        let now = self.now;
        let Some(due) = self.proxies[number].due(now) else {
            return;
        };
        let Some(process) = &mut self.proxies[number].process else {
            return;
        };
        if process.wake.is_some_and(|at| at <= due && at > now) {
            return;
        }
        process.wake = Some(due);
        process.wakes += 1;
        let event = Event::Wake {
            proxy: number,
            incarnation: process.incarnation,
            wakes: process.wakes,
        };
        self.queue.push(due, event);
    }

    pub(super) fn at_proxy(&mut self, event: Event) {
        match event {
            Event::Start { proxy } => {
                if self.proxies[proxy].process.is_some() {
                    return;
                }
                self.incarnations += 1;
                self.versions[proxy] = self.version;
                let (agents, rules) = (&self.plan.agents, &self.rules);
                self.proxies[proxy].start(self.incarnations, agents, rules, self.now);
                self.with_proxy(proxy, |_, _| {});
            }
            Event::Wake {
                proxy,
                incarnation,
                wakes,
            } => {
                let process = self.proxies[proxy].process.as_mut();
                let Some(process) = process.filter(|it| it.incarnation == incarnation) else {
                    return;
                };
                if process.wakes == wakes {
                    process.wake = None;
                    self.with_proxy(proxy, |_, _| {});
                }
            }
            Event::Request { proxy, agent, job } => {
                let id = self.number();
                self.with_proxy(proxy, |proxy, scene| {
                    if let Some(process) = &mut proxy.process {
                        process.arrive(id, agent, *job, scene);
                    }
                });
            }
            Event::Step {
                proxy,
                incarnation,
                request,
                step,
            } => self.with_proxy(proxy, |proxy, scene| {
                let process = proxy.process.as_mut();
                if let Some(process) = process.filter(|it| it.incarnation == incarnation) {
                    process.step(request, step, scene);
                }
            }),
            Event::Leave {
                proxy,
                incarnation,
                request,
            } => self.with_proxy(proxy, |proxy, scene| {
                let process = proxy.process.as_mut();
                if let Some(process) = process.filter(|it| it.incarnation == incarnation) {
                    process.leave(request, scene);
                }
            }),
            Event::Rules { proxy, version } => self.set_rules(proxy, version),
            _ => {}
        }
    }

    fn set_rules(&mut self, proxy: usize, version: usize) {
        if version <= self.versions[proxy] {
            return;
        }
        self.versions[proxy] = version;
        let rules = self.rules.clone();
        self.with_proxy(proxy, |proxy, _| {
            let seats = proxy.process.iter_mut().flat_map(|it| &mut it.agents);
            for (seat, rules) in seats.zip(rules) {
                seat.agent.set_rules(rules);
            }
        });
        self.consider_policy();
    }

    /// A proxy is killed.
    pub(super) fn kill(&mut self, number: usize) {
        // With its host gone nobody tells the owner.
        if self.random.permille(600) {
            self.hang_up(number);
        }
        let amnesia = self.random.permille(self.plan.faults.amnesia);
        let proxy = &mut self.proxies[number];
        let Some(process) = proxy.process.take() else {
            return;
        };
        let mut acts = Vec::new();
        let mut scene = Scene {
            now: self.now,
            mono: proxy.clock.at(self.now),
            paused: proxy.paused,
            oracle: &mut self.oracle,
            random: &mut self.random,
            acts: &mut acts,
        };
        proxy.ancestors.push(process.incarnation);
        process.die(amnesia, &mut scene);
        if amnesia {
            proxy.journal = Journal::default();
            // With the journal goes what processes before this one left in it.
            for ancestor in proxy.ancestors.drain(..) {
                self.oracle.forgot(ancestor);
            }
        }
        self.restart(number);
    }

    /// A proxy that wants to stop does so when it can.
    fn drain(&mut self, number: usize) {
        let process = self.proxies[number].process.as_ref();
        let Some(process) = process.filter(|it| it.draining && it.is_settled()) else {
            return;
        };
        let Some(goodbye) = process.session.goodbye() else {
            return;
        };
        self.say(number, &goodbye);
        self.hang_up(number);
        let proxy = &mut self.proxies[number];
        if let Some(process) = proxy.process.take() {
            proxy.ancestors.push(process.incarnation);
        }
        self.restart(number);
    }

    fn restart(&mut self, number: usize) {
        self.callers_lost();
        let soon = self.healed || self.random.permille(500);
        let pause = if soon { 500 * MS } else { 25 * S };
        let at = self.now + self.random.below(pause);
        self.queue.push(at, Event::Start { proxy: number });
        self.consider_policy();
    }
}
