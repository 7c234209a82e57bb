//! The one task per queue that talks to Redis on behalf of a worker: [`Driver`].
//!
//! Owns the leases of this worker: claims, renews and settles them, and sits out any trouble with
//! Redis. Handlers never wait for it and it never waits for them; it runs on a thread of its own
//! (`worker`), so that handlers which block their threads do not cost anyone a lease.
//!
//! **Invariant:** claiming never takes `in_flight` plus `pending` beyond the capacity, so every buffer
//! is bounded.
//!
//! **Invariant:** after a stop nothing is claimed, and the driver ends only when nothing is in flight
//! and everything is settled, or Redis stayed away for [`FLUSH_LIMIT`].

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::client::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::delivery::{Delivery, Settlement, Token, Verdict};
use crate::entry::{Entry, Failure};
use crate::job::RetryPolicy;
use crate::measure;
use crate::pace::Pace;
use crate::turn::{Orphans, Reply, Request, Seat};
use crate::wake::Wake;

/// A lease is renewed when this part of it has passed: two renewals may fail before it expires.
const RENEWALS_PER_LEASE: u32 = 3;

/// How long a stopping driver tries to hand in its last settlements; then their leases expire instead.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How long a turn may take in all, reconnecting and loading the script included.
const TURN_LIMIT: Duration = RESPONSE_TIMEOUT.saturating_add(CONNECT_TIMEOUT);

/// The pauses between failed turns: short enough to be back with Redis, long enough not to hammer it.
const PAUSES: RetryPolicy = RetryPolicy::exponential(u32::MAX, Duration::from_millis(50), Duration::from_secs(1));

/// The channels and signals of a driver.
pub(crate) struct Wiring {
    pub(crate) deliveries: UnboundedSender<Delivery>,
    pub(crate) settlements: UnboundedReceiver<Settlement>,
    /// Set when claiming is to end.
    pub(crate) stop: CancellationToken,
}

/// Drives one queue for one worker.
pub(crate) struct Driver {
    queue: String,
    seat: Seat,
    wiring: Wiring,
    wake: Wake,
    pace: Pace,
    /// Claimed and not settled yet.
    in_flight: HashMap<Token, CancellationToken>,
    /// Settled by the worker, not yet by Redis.
    pending: Vec<Settlement>,
    /// Whether there may be work to claim.
    hungry: bool,
    /// Whether the worker is gone, and with it all that could settle.
    closed: bool,
    renew_at: Instant,
    due_at: Option<Instant>,
    trouble: Option<Trouble>,
    /// Since when a stopped driver has only had settlements to hand in.
    flushing_since: Option<Instant>,
}

/// A spell in which turns fail.
struct Trouble {
    since: Instant,
    failures: u32,
}

impl Driver {
    pub(crate) fn new(queue: String, seat: Seat, wiring: Wiring, wake: Wake, pace: Pace) -> Self {
        let renew_at = Instant::now() + seat.lease / RENEWALS_PER_LEASE;
        Self {
            queue,
            seat,
            wiring,
            wake,
            pace,
            in_flight: HashMap::new(),
            pending: Vec::new(),
            hungry: true,
            closed: false,
            renew_at,
            due_at: None,
            trouble: None,
            flushing_since: None,
        }
    }

    /// Runs until stopped and settled.
    pub(crate) async fn run(mut self) {
        loop {
            self.collect();
            if self.stopping() {
                self.wake.stop();
                if self.finished() {
                    return;
                }
            }
            if self.turn_is_due() {
                self.turn().await;
            } else {
                self.wait().await;
            }
        }
    }

    fn stopping(&self) -> bool {
        self.closed || self.wiring.stop.is_cancelled()
    }

    /// How many more jobs may be claimed.
    fn room(&self) -> usize {
        if self.stopping() {
            return 0;
        }
        let taken = self.in_flight.len() + self.pending.len();
        self.pace.capacity().saturating_sub(taken)
    }

    fn finished(&mut self) -> bool {
        if !self.in_flight.is_empty() && !self.closed {
            return false;
        }
        if self.pending.is_empty() {
            return true;
        }
        let since = *self.flushing_since.get_or_insert_with(Instant::now);
        let given_up = since.elapsed() > FLUSH_LIMIT;
        if given_up {
            warn!(queue = %self.queue, jobs = self.pending.len(),
                "Redis did not take the last outcomes; these jobs run again when their leases expire");
        }
        given_up
    }

    fn turn_is_due(&self) -> bool {
        !self.pending.is_empty()
            || (self.hungry && self.room() > 0)
            || (!self.in_flight.is_empty() && Instant::now() >= self.renew_at)
    }

    /// Takes whatever outcomes have arrived.
    fn collect(&mut self) {
        while let Ok(settlement) = self.wiring.settlements.try_recv() {
            self.accept(settlement);
        }
    }

    fn accept(&mut self, settlement: Settlement) {
        if let Some(ran) = settlement.ran {
            self.pace.observe(ran);
        }
        match self.in_flight.remove(&settlement.token) {
            Some(lost) if lost.is_cancelled() => self.report_refused(&settlement),
            Some(_) => self.pending.push(settlement),
            // Settled before: a delivery has one settlement, so this is never a second outcome.
            None => {}
        }
    }

    fn report_refused(&self, settlement: &Settlement) {
        measure::settled(&self.queue, "refused");
        info!(queue = %self.queue, token = settlement.token, outcome = settlement.outcome(),
            "outcome refused: the lease was lost or already settled");
    }

    /// Waits until there is a reason for a turn.
    async fn wait(&mut self) {
        let idle = self.room() > 0;
        let stopping = self.stopping();
        let renewal = (!self.in_flight.is_empty()).then_some(self.renew_at);
        let due = self.due_at.filter(|_| idle);
        let timer = [renewal, due].into_iter().flatten().min();
        tokio::select! {
            settlement = self.wiring.settlements.recv(), if !self.closed => match settlement {
                Some(settlement) => {
                    self.accept(settlement);
                    // Let others that finish in the same moment join the turn.
                    tokio::task::yield_now().await;
                }
                None => self.closed = true,
            },
            () = self.wake.popped(), if idle => self.hungry = true,
            () = until(timer) => {
                if due.is_some_and(|due| Instant::now() >= due) {
                    self.hungry = true;
                }
            }
            () = self.wiring.stop.cancelled(), if !stopping => {}
        }
    }

    async fn turn(&mut self) {
        let recovering = self.trouble.is_some();
        let renewing = recovering || Instant::now() >= self.renew_at;
        let renew = if renewing { self.live_leases() } else { Vec::new() };
        let began = Instant::now();
        let request = Request {
            settle: &self.pending,
            renew: &renew,
            room: self.room(),
            orphans: if recovering { Orphans::GiveBack } else { Orphans::None },
        };
        let room = request.room;
        let limit = if self.stopping() { FLUSH_LIMIT } else { TURN_LIMIT };
        let taken = tokio::time::timeout(limit, self.seat.take(&request)).await;
        match taken.unwrap_or_else(|_| Err(timed_out())) {
            Ok(reply) => {
                if renewing {
                    self.renew_at = began + self.seat.lease / RENEWALS_PER_LEASE;
                }
                self.recovered();
                self.apply(reply, &renew, room);
            }
            Err(error) => self.failed(&error).await,
        }
    }

    fn live_leases(&self) -> Vec<Token> {
        let live = self.in_flight.iter().filter(|(_, lost)| !lost.is_cancelled());
        live.map(|(token, _)| *token).collect()
    }

    fn apply(&mut self, reply: Reply, renewed: &[Token], room: usize) {
        let settled = std::mem::take(&mut self.pending);
        for (index, settlement) in settled.iter().enumerate() {
            if reply.refused.contains(&index) {
                self.report_refused(settlement);
            } else {
                measure::settled(&self.queue, settlement.outcome());
            }
        }
        for token in reply.lost.iter().filter_map(|&index| renewed.get(index)) {
            if let Some(lost) = self.in_flight.get(token) {
                info!(queue = %self.queue, token, "lease lost while the job runs; its outcome will be refused");
                lost.cancel();
            }
        }
        if reply.reclaimed > 0 {
            measure::reclaimed(&self.queue, reply.reclaimed);
            warn!(queue = %self.queue, jobs = reply.reclaimed, "took back jobs of a worker that went silent");
        }
        if reply.buried > 0 {
            error!(queue = %self.queue, entries = reply.buried, "entries that are no jobs became dead letters");
        }
        let next_due = reply.next_due;
        let claimed = reply.claimed.len();
        self.deliver(reply);
        self.hungry = room > 0 && (claimed == room || next_due == Some(Duration::ZERO));
        self.due_at = next_due.map(|delay| Instant::now() + delay);
    }

    fn deliver(&mut self, reply: Reply) {
        if !reply.claimed.is_empty() {
            measure::claimed(&self.queue, reply.claimed.len());
        }
        for (token, bytes) in reply.claimed {
            let entry = match std::str::from_utf8(&bytes).map(Entry::parse) {
                Ok(Ok(entry)) => entry,
                Ok(Err(cause)) => {
                    self.bury_malformed(token, &cause.to_string());
                    continue;
                }
                Err(cause) => {
                    self.bury_malformed(token, &cause.to_string());
                    continue;
                }
            };
            if entry.attempt == 1 {
                let wait = reply.now_ms.saturating_sub(entry.enqueued_at_ms);
                let wait = u64::try_from(wait).unwrap_or_default();
                measure::waited(&self.queue, Duration::from_millis(wait));
            }
            let lost = CancellationToken::new();
            self.in_flight.insert(token, lost.clone());
            let delivery = Delivery { token, entry, lost };
            if self.wiring.deliveries.send(delivery).is_err() {
                // The worker is gone; nobody else can settle this.
                self.in_flight.remove(&token);
                self.push_unrun(token, Verdict::Release);
            }
        }
    }

    fn bury_malformed(&mut self, token: Token, cause: &str) {
        error!(queue = %self.queue, token, cause, "an entry cannot be read and becomes a dead letter");
        let failure = Failure {
            at: 0,
            attempt: 1,
            code: "malformed_entry".to_owned(),
            message: cause.to_owned(),
            worker: self.seat.worker.clone(),
        };
        let note = failure.note();
        self.push_unrun(token, Verdict::Dead { note });
    }

    fn push_unrun(&mut self, token: Token, verdict: Verdict) {
        self.pending.push(Settlement { token, holds_key: false, verdict, ran: None });
    }

    fn recovered(&mut self) {
        if let Some(trouble) = self.trouble.take() {
            info!(queue = %self.queue, after = ?trouble.since.elapsed(), failures = trouble.failures,
                "Redis is back");
        }
    }

    async fn failed(&mut self, error: &redis::RedisError) {
        if self.trouble.is_none() {
            warn!(queue = %self.queue, %error, jobs = self.in_flight.len(),
                "Redis does not answer; running jobs go on, trying again");
        }
        let trouble = self.trouble.get_or_insert_with(|| Trouble { since: Instant::now(), failures: 0 });
        trouble.failures = trouble.failures.saturating_add(1);
        // At least half of it: an immediate retry would only meet the same trouble.
        let pause = PAUSES.wait(trouble.failures, |most| fastrand::u64(most / 2..=most));
        tokio::time::sleep(pause).await;
    }
}

fn timed_out() -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}

/// Sleeps until then; for ever without one.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}
