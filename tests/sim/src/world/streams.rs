//! Streams between proxies and control planes: in order, unless the world is wild; late, cut, broken.

use agix_core::lease::SessionInput;
use agix_core::ledger::Input;
use agix_core::quota::{FromLedger, ToLedger};

use super::World;
use super::event::Event;
use crate::clock::{MS, Nanos, S};

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) proxy: usize,
    pub(super) plane: usize,
    /// When the last message of each direction arrives: no later one arrives before it.
    up_at: Nanos,
    down_at: Nanos,
}

/// Messages are held up on the way.
#[derive(Debug)]
pub(super) struct Cut {
    /// Between this proxy and all control planes.
    pub(super) proxy: usize,
    /// From the proxy.
    pub(super) up: bool,
    /// To the proxy.
    pub(super) down: bool,
    /// Until then.
    pub(super) until: Nanos,
}

impl World {
    /// A proxy wants a stream.
    pub(super) fn dial(&mut self, proxy: usize, attempt: u64) {
        let planes = u64::try_from(self.planes.len()).unwrap_or(1);
        let plane = usize::try_from(attempt % planes).unwrap_or(0);
        let stream = self.number();
        let Some(process) = &mut self.proxies[proxy].process else {
            return;
        };
        process.stream = Some(stream);
        self.streams.insert(
            stream,
            Stream {
                proxy,
                plane,
                up_at: 0,
                down_at: 0,
            },
        );
        let at = self.arrival(stream, true);
        self.queue.push(at, Event::Dial { stream });
    }

    /// A proxy says something on its stream.
    pub(super) fn say(&mut self, proxy: usize, message: &ToLedger) {
        let process = self.proxies[proxy].process.as_ref();
        let Some(stream) = process.and_then(|it| it.stream) else {
            return;
        };
        if matches!(message, ToLedger::Report(_)) {
            self.oracle.stats.reports += 1;
        }
        for at in self.arrivals(stream, true) {
            let message = Box::new(message.clone());
            self.queue.push(at, Event::Up { stream, message });
        }
    }

    /// The ledger says something on a stream.
    pub(super) fn answer(&mut self, stream: u64, message: &FromLedger) {
        for at in self.arrivals(stream, false) {
            let message = Box::new(message.clone());
            self.queue.push(at, Event::Down { stream, message });
        }
    }

    /// The proxy ends its stream, or is gone.
    pub(super) fn hang_up(&mut self, proxy: usize) {
        let stream = self.proxies[proxy].process.as_mut();
        let Some(stream) = stream.and_then(|it| it.stream.take()) else {
            return;
        };
        let at = self.arrival(stream, true);
        self.queue.push(at, Event::Gone { stream });
    }

    /// The owner ends a stream, or is gone.
    pub(super) fn break_off(&mut self, stream: u64) {
        let at = self.arrival(stream, false);
        self.queue.push(at, Event::Lost { stream });
    }

    pub(super) fn on_stream(&mut self, event: Event) {
        match event {
            Event::Dial { stream } => self.dialled(stream),
            Event::Up { stream, message } => self.heard_above(stream, *message),
            Event::Gone { stream } => {
                let plane = self.streams.get(&stream).map(|it| it.plane);
                let shift = plane.and_then(|it| self.planes[it].shift.as_mut());
                if let Some(shift) = shift
                    && shift.streams.remove(&stream)
                {
                    shift.inputs.push_back(Input::Gone { stream });
                }
                if let Some(plane) = plane {
                    self.round(plane);
                }
            }
            Event::Dialled { stream, open } => {
                let input = if open {
                    SessionInput::Opened
                } else {
                    self.lost()
                };
                self.heard_below(stream, input, !open);
            }
            Event::Lost { stream } => {
                let input = self.lost();
                self.heard_below(stream, input, true);
            }
            Event::Down { stream, message } => {
                self.oracle.told(&message, &self.store.books);
                self.heard_below(stream, SessionInput::Heard(*message), false);
            }
            _ => {}
        }
    }

    fn lost(&mut self) -> SessionInput {
        SessionInput::Lost {
            random: self.net.bits(),
        }
    }

    /// A wish for a stream arrived at a control plane. One that is not the owner names the owner.
    fn dialled(&mut self, stream: u64) {
        let Some(plane) = self.streams.get(&stream).map(|it| it.plane) else {
            return;
        };
        if let Some(shift) = &mut self.planes[plane].shift {
            shift.streams.insert(stream);
            let at = self.arrival(stream, false);
            self.queue.push(at, Event::Dialled { stream, open: true });
            return;
        }
        let owner = self.planes.iter().position(|it| {
            let shift = it.shift.as_ref();
            shift.is_some_and(|shift| shift.term == self.store.term)
        });
        match owner {
            Some(owner) if self.planes[plane].up => {
                if let Some(dialled) = self.streams.get_mut(&stream) {
                    dialled.plane = owner;
                }
                let at = self.arrival(stream, true);
                self.queue.push(at, Event::Dial { stream });
            }
            _ => {
                let at = self.arrival(stream, false);
                self.queue.push(
                    at,
                    Event::Dialled {
                        stream,
                        open: false,
                    },
                );
            }
        }
    }

    fn heard_above(&mut self, stream: u64, message: ToLedger) {
        let Some(plane) = self.streams.get(&stream).map(|it| it.plane) else {
            return;
        };
        let Some(shift) = &mut self.planes[plane].shift else {
            return;
        };
        // What a stream says that was ended before would give it its session back.
        if !shift.streams.contains(&stream) {
            return;
        }
        shift.inputs.push_back(match message {
            ToLedger::Hello(hello) => Input::Hello { stream, hello },
            ToLedger::Report(report) => Input::Report { stream, report },
            ToLedger::Goodbye { session } => Input::Goodbye { stream, session },
        });
        self.round(plane);
    }

    fn heard_below(&mut self, stream: u64, input: SessionInput, ends: bool) {
        let Some(proxy) = self.streams.get(&stream).map(|it| it.proxy) else {
            return;
        };
        let Some(process) = &mut self.proxies[proxy].process else {
            return;
        };
        if process.stream != Some(stream) {
            return;
        }
        if ends {
            process.stream = None;
        }
        self.with_proxy(proxy, |proxy, scene| proxy.session(input, scene));
    }

    /// When the next message of a stream arrives, and its repetitions; nothing if it is lost.
    fn arrivals(&mut self, stream: u64, up: bool) -> Vec<Nanos> {
        let net = self.plan.net;
        let wild = !self.healed;
        if wild && self.net.permille(net.lost) {
            return Vec::new();
        }
        let mut arrivals = vec![self.arrival(stream, up)];
        if wild && self.net.permille(net.repeated) {
            arrivals.push(self.arrival(stream, up));
        }
        arrivals
    }

    fn arrival(&mut self, stream: u64, up: bool) -> Nanos {
        let net = self.plan.net;
        let slow = self.net.permille(net.slow);
        let jitter = self
            .net
            .below(if slow { 50 * net.delay } else { net.delay });
        let late = !self.healed && net.reorders && self.net.permille(30);
        let lag = if late { self.net.below(3 * S) } else { 0 };
        let sent = self.now;
        let Some(it) = self.streams.get_mut(&stream) else {
            return sent;
        };
        let proxy = it.proxy;
        let held = self
            .cuts
            .iter()
            .filter(|cut| cut.proxy == proxy && (if up { cut.up } else { cut.down }))
            .map(|cut| cut.until)
            .max();
        let at = sent.max(held.unwrap_or(0)) + net.delay + jitter + lag;
        if net.reorders && !self.healed {
            return at;
        }
        let last = if up { &mut it.up_at } else { &mut it.down_at };
        *last = at.max(*last + 1);
        *last
    }

    /// Lets go of streams that nobody will hear of again.
    pub(super) fn forget_streams(&mut self) {
        let horizon = self.now.saturating_sub(200 * S);
        let open: Vec<u64> = self
            .proxies
            .iter()
            .filter_map(|it| it.process.as_ref()?.stream)
            .collect();
        self.streams.retain(|number, stream| {
            stream.up_at.max(stream.down_at) + 10 * MS >= horizon || open.contains(number)
        });
    }
}
