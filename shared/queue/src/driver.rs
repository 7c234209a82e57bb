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

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::claims::{Claims, HELD_LIMIT, Held, Turnstile};
use crate::connection::{CONNECT_TIMEOUT, RESPONSE_TIMEOUT};
use crate::delivery::{Delivery, Lease, Settlement, Token, Verdict, read_lease};
use crate::entry::{Entry, Failure};
use crate::health::QueueHealth;
use crate::job::RetryPolicy;
use crate::measure;
use crate::pace::Pace;
use crate::stats::{Counter, Tally};
use crate::turn::{Beat, Claim, Orphans, Reply, Request, Seat};
use crate::wake::Wake;

/// A lease is renewed when this part of it has passed: two renewals may fail before it expires.
const RENEWALS_PER_LEASE: u32 = 3;

/// How long a stopping driver tries to hand in its last settlements; then their leases expire instead.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How long a turn may take in all, reconnecting and loading the script included.
const TURN_LIMIT: Duration = RESPONSE_TIMEOUT.saturating_add(CONNECT_TIMEOUT);

/// The pauses between failed turns: short enough to be back with Redis, long enough not to hammer it.
const PAUSES: RetryPolicy = RetryPolicy::exponential(u32::MAX, Duration::from_millis(50), Duration::from_secs(1));

/// How often a worker says that it is there and hands in what it counted.
const BEAT: Duration = Duration::from_secs(2);

/// The channels and signals of a driver.
pub(crate) struct Wiring {
    pub(crate) deliveries: UnboundedSender<Delivery>,
    pub(crate) settlements: UnboundedReceiver<Settlement>,
    /// Set when claiming is to end.
    pub(crate) stop: CancellationToken,
    pub(crate) health: QueueHealth,
}

/// Drives one queue for one worker.
pub(crate) struct Driver {
    queue: String,
    seat: Seat,
    wiring: Wiring,
    wake: Wake,
    pace: Pace,
    /// Claimed and not settled yet.
    in_flight: Claims,
    /// Settled by the worker, not yet by Redis.
    pending: Vec<Settlement>,
    /// Whether there may be work to claim.
    hungry: bool,
    /// Whether it was woken. A turn answers the call also where there is no room any more, and so passes it on.
    called: bool,
    /// Whether the worker is gone, and with it all that could settle.
    closed: bool,
    renew_at: Instant,
    beat_at: Instant,
    /// When to look for jobs that are held ahead for too long.
    look_at: Instant,
    due_at: Option<Instant>,
    tally: Tally,
    /// Redis's time of the first and of the last claiming turn.
    started_ms: i64,
    last_claim_ms: Option<i64>,
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
        let now = Instant::now();
        let renew_at = now + seat.lease_time / RENEWALS_PER_LEASE;
        Self {
            queue,
            seat,
            wiring,
            wake,
            pace,
            in_flight: Claims::default(),
            pending: Vec::new(),
            hungry: true,
            called: false,
            closed: false,
            renew_at,
            beat_at: now,
            look_at: now,
            due_at: None,
            tally: Tally::default(),
            started_ms: 0,
            last_claim_ms: None,
            trouble: None,
            flushing_since: None,
        }
    }

    /// Runs until stopped and settled.
    pub(crate) async fn run(mut self) {
        loop {
            self.collect();
            self.withdraw_stuck();
            if self.stopping() {
                self.wake.stop();
                if self.finished() {
                    self.say_goodbye().await;
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
            || self.called
            || (self.hungry && self.room() > 0)
            || (!self.in_flight.is_empty() && Instant::now() >= self.renew_at)
            || Instant::now() >= self.beat_at
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
            self.tally.ran(ran);
        }
        match self.in_flight.remove(settlement.token) {
            Some(claim) if claim.lost.is_cancelled() => self.report_refused(&settlement),
            Some(_) => self.pending.push(settlement),
            // Settled before: a delivery has one settlement, so this is never a second outcome.
            None => {}
        }
    }

    /// Whether it holds more than can run.
    fn holds_ahead(&self) -> bool {
        self.in_flight.len() > self.pace.concurrency()
    }

    /// Gives back what is held ahead behind jobs that turned out to be slow.
    fn withdraw_stuck(&mut self) {
        if !self.holds_ahead() || Instant::now() < self.look_at {
            return;
        }
        self.look_at = Instant::now() + HELD_LIMIT;
        let stuck = self.in_flight.withdraw_stuck();
        if !stuck.is_empty() {
            self.pace.observe(HELD_LIMIT);
        }
        for claim in stuck {
            self.push_unrun(claim, Verdict::Release);
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
        let look = self.holds_ahead().then_some(self.look_at);
        let timer = [renewal, due, look, Some(self.beat_at)].into_iter().flatten().min();
        tokio::select! {
            settlement = self.wiring.settlements.recv(), if !self.closed => match settlement {
                Some(settlement) => {
                    self.accept(settlement);
                    // Let others that finish in the same moment join the turn.
                    tokio::task::yield_now().await;
                }
                None => self.closed = true,
            },
            () = self.wake.popped(), if idle || self.wake.is_waiting() => self.called = true,
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
        let renew = if renewing { self.in_flight.live_leases() } else { Vec::new() };
        let beating = Instant::now() >= self.beat_at;
        let statistics = if beating { self.tally.take() } else { Vec::new() };
        let room = self.room();
        let began = Instant::now();
        self.pending.sort_by_key(Settlement::place);
        let request = Request {
            settle: &self.pending,
            renew: &renew,
            room,
            orphans: if recovering { Orphans::GiveBack } else { Orphans::None },
            beat: &if beating { self.beat() } else { Beat::None },
            statistics: &statistics,
        };
        let limit = if self.stopping() { FLUSH_LIMIT } else { TURN_LIMIT };
        let taken = tokio::time::timeout(limit, self.seat.take(&request)).await;
        match taken.unwrap_or_else(|_| Err(timed_out())) {
            Ok(reply) => {
                if renewing {
                    self.renew_at = began + self.seat.lease_time / RENEWALS_PER_LEASE;
                }
                if beating {
                    self.beat_at = began + BEAT;
                }
                self.called = false;
                self.recovered();
                self.apply(reply, &renew, room);
            }
            Err(error) => {
                self.tally.give_back(statistics);
                self.failed(&error).await;
            }
        }
    }

    fn beat(&self) -> Beat {
        let last_claim = self.last_claim_ms.map_or_else(|| "null".to_owned(), |at| at.to_string());
        Beat::Here(format!(
            r#"{{"running":{running},"capacity":{capacity},"last_claim_ms":{last_claim},"started_ms":{started}}}"#,
            running = self.in_flight.len(),
            capacity = self.pace.concurrency(),
            started = self.started_ms,
        ))
    }

    /// Takes this worker out of the list, with its last figures. If Redis is away, the list forgets it by itself.
    async fn say_goodbye(&mut self) {
        let statistics = self.tally.take();
        let request = Request {
            settle: &[],
            renew: &[],
            room: 0,
            orphans: Orphans::None,
            beat: &Beat::Gone,
            statistics: &statistics,
        };
        let _away = tokio::time::timeout(FLUSH_LIMIT, self.seat.take(&request)).await;
    }

    fn apply(&mut self, reply: Reply, renewed: &[Lease], room: usize) {
        let mut settled = std::mem::take(&mut self.pending);
        for &index in &reply.refused {
            self.report_refused(&settled[index]);
        }
        let mut index = 0;
        settled.retain(|_| {
            index += 1;
            !reply.refused.contains(&(index - 1))
        });
        for settlement in &settled {
            measure::settled(&self.queue, settlement.outcome());
            self.tally.count(settlement.counter());
        }
        for lease in reply.lost.iter().filter_map(|&index| renewed.get(index)) {
            if let Some(claim) = self.in_flight.of(lease) {
                info!(queue = %self.queue, %lease, "lease lost while the job runs; its outcome will be refused");
                claim.lost.cancel();
            }
        }
        if reply.reclaimed > 0 {
            measure::reclaimed(&self.queue, reply.reclaimed);
            warn!(queue = %self.queue, jobs = reply.reclaimed, "took back jobs of a worker that went silent");
        }
        if reply.buried > 0 {
            error!(queue = %self.queue, entries = reply.buried, "entries that are no jobs became dead letters");
        }
        if self.started_ms == 0 {
            self.started_ms = reply.now_ms;
        }
        let claimed = reply.claimed.len();
        self.wiring.health.turned(reply.waiting && room > 0 && claimed == 0);
        self.hungry = room > 0 && (reply.waiting || reply.next_due == Some(Duration::ZERO));
        self.due_at = reply.next_due.map(|delay| Instant::now() + delay);
        if claimed > 0 {
            self.last_claim_ms = Some(reply.now_ms);
            measure::claimed(&self.queue, claimed);
            self.tally.add(Counter::Claimed, claimed as u64);
        }
        for claim in reply.claimed {
            self.deliver(claim, reply.now_ms);
        }
    }

    fn deliver(&mut self, (lease, bytes): Claim, now_ms: i64) {
        // Only our script makes leases; should another version name them differently, they expire.
        let Some((token, id, attempt)) = read_lease(&lease) else { return };
        let (id, lease) = (id.to_owned(), Lease::from(lease.as_str()));
        let parsed = std::str::from_utf8(&bytes).map_err(|cause| cause.to_string());
        let entry = match parsed.and_then(|text| Entry::parse(text).map_err(|cause| cause.to_string())) {
            Ok(entry) => entry,
            Err(cause) => return self.bury_malformed((token, lease), (&id, attempt), &cause),
        };
        let wait = u64::try_from(now_ms.saturating_sub(entry.run_at_ms)).unwrap_or_default();
        self.tally.waited(Duration::from_millis(wait));
        measure::waited(&self.queue, Duration::from_millis(wait));
        let turnstile = Turnstile::default();
        let held = Held::new(Lease::clone(&lease), turnstile.clone());
        let lost = held.lost.clone();
        self.in_flight.insert(token, held);
        let delivery = Delivery { token, lease: Lease::clone(&lease), id, attempt, entry, lost, turnstile };
        if self.wiring.deliveries.send(delivery).is_err() {
            // The worker is gone; nobody else can settle this.
            self.in_flight.remove(token);
            self.push_unrun((token, lease), Verdict::Release);
        }
    }

    /// The first line is in order, or the script would have buried it; something after it is not.
    fn bury_malformed(&mut self, claim: (Token, Lease), (id, attempt): (&str, u32), cause: &str) {
        error!(queue = %self.queue, id, cause, "an entry cannot be read and becomes a dead letter");
        let failure = Failure {
            at: 0,
            attempt,
            code: "malformed_entry".to_owned(),
            message: cause.to_owned(),
            worker: self.seat.worker.clone(),
        };
        self.push_unrun(claim, Verdict::Dead { note: failure.dead_note("") });
    }

    fn push_unrun(&mut self, (token, lease): (Token, Lease), verdict: Verdict) {
        self.pending.push(Settlement { token, lease, plain: false, verdict, ran: None });
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
        // Whatever it was: a server that still answers may not be the one to ask any more.
        self.seat.connection.renew();
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
