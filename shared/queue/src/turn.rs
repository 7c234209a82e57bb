//! One round trip of a driver: settlements and renewals go out, claimed jobs come back.
//!
//! Owns the wire form of the script's arguments and reply, and nothing that lasts beyond the call.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{RedisResult, Script};

use crate::connection::Connection;
use crate::delivery::{Lease, Settlement, Verdict};
use crate::keys::QueueKeys;
use crate::new_job::MAX_DELAY_MS;

const SOURCE: &str = concat!("#!lua flags=allow-oom\n", include_str!("lua/lines.lua"), include_str!("lua/turn.lua"));

static TURN: LazyLock<Script> = LazyLock::new(|| Script::new(SOURCE));

/// Where and as whom a driver takes its turns.
pub(crate) struct Seat {
    pub(crate) keys: Arc<QueueKeys>,
    /// Unique per start, so that a lease names one process's one run.
    pub(crate) worker: String,
    pub(crate) lease_time: Duration,
    pub(crate) connection: Connection,
}

/// What a driver asks for in one turn.
pub(crate) struct Request<'a> {
    /// Those that [end plainly](Settlement::ends_plainly) first.
    pub(crate) settle: &'a [Settlement],
    pub(crate) renew: &'a [Lease],
    /// How many jobs to claim at most.
    pub(crate) room: usize,
    /// Whether an earlier turn may have claimed jobs without our hearing of it. All leases we know of
    /// must then be among `renew`.
    pub(crate) orphans: Orphans,
    pub(crate) beat: &'a Beat,
    /// Fields and increments for the minute's statistics.
    pub(crate) statistics: &'a [(String, u64)],
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing this time.
    None,
    /// That it is there, with this JSON.
    Here(String),
    /// That it ends.
    Gone,
}

/// Whether to look for jobs claimed in a turn whose reply was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orphans {
    None,
    GiveBack,
}

/// What came of a turn.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Redis's time in milliseconds since 1970.
    pub(crate) now_ms: i64,
    pub(crate) claimed: Vec<Claim>,
    /// Indexes into the settlements: no longer ours.
    pub(crate) refused: Vec<usize>,
    /// Indexes into the renewals: no longer ours.
    pub(crate) lost: Vec<usize>,
    /// When something will be due, if anything is known to be.
    pub(crate) next_due: Option<Duration>,
    /// Expired leases taken back.
    pub(crate) reclaimed: u64,
    /// Malformed entries made dead letters.
    pub(crate) buried: u64,
    /// Whether work is left that could be claimed.
    pub(crate) waiting: bool,
}

/// A claimed job as it came: lease, entry.
pub(crate) type Claim = (String, Vec<u8>);

type RawReply = (i64, Vec<Claim>, Vec<usize>, Vec<usize>, i64, u64, u64, bool);

impl Seat {
    /// Takes a turn. Repeating one that failed is safe: a settlement counts once. Statistics may count twice.
    pub(crate) async fn take(&mut self, request: &Request<'_>) -> RedisResult<Reply> {
        let mut call = TURN.prepare_invoke();
        call.key(&self.keys.base)
            .arg(&self.worker)
            .arg(millis(self.lease_time))
            .arg(request.room)
            .arg(match request.orphans {
                Orphans::None => 0,
                Orphans::GiveBack => 1,
            })
            .arg(match request.beat {
                Beat::None => "",
                Beat::Here(json) => json,
                Beat::Gone => "gone",
            });
        call.arg(request.statistics.len());
        for (field, increment) in request.statistics {
            call.arg(field).arg(increment);
        }
        let (ends, others) = request.settle.split_at(request.settle.partition_point(Settlement::ends_plainly));
        call.arg(ends.len());
        for end in ends {
            call.arg(&*end.lease);
        }
        call.arg(others.len());
        for settlement in others {
            let (delay, note) = match &settlement.verdict {
                Verdict::Snooze(delay) => (millis(*delay), ""),
                Verdict::Retry { delay, note } => (millis(*delay), note.as_str()),
                Verdict::Dead { note } => (0, note.as_str()),
                Verdict::Done | Verdict::Cancel | Verdict::Release => (0, ""),
            };
            call.arg(settlement.kind()).arg(&*settlement.lease).arg(delay).arg(note);
        }
        for lease in request.renew {
            call.arg(&**lease);
        }
        let reply: RawReply = call.invoke_async(&mut self.connection).await?;
        Ok(Reply::from(reply))
    }
}

impl From<RawReply> for Reply {
    fn from((now_ms, claimed, refused, lost, next, reclaimed, buried, waiting): RawReply) -> Self {
        Self {
            now_ms,
            claimed,
            refused,
            lost,
            next_due: u64::try_from(next).ok().map(Duration::from_millis),
            reclaimed,
            buried,
            waiting,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(MAX_DELAY_MS)
}
