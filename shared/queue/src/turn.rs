//! One round trip of a driver: settlements and renewals go out, claimed jobs come back.
//!
//! Owns the wire form of the script's arguments and reply, and nothing that lasts beyond the call.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{RedisResult, Script};

use crate::delivery::{Settlement, Token, Verdict};
use crate::keys::QueueKeys;
use crate::new_job::MAX_DELAY_MS;

static TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/turn.lua")));

/// Where and as whom a driver takes its turns.
pub(crate) struct Seat {
    pub(crate) keys: Arc<QueueKeys>,
    /// Unique per start, so that a lease names one process's one run.
    pub(crate) worker: String,
    pub(crate) lease: Duration,
    pub(crate) connection: ConnectionManager,
}

/// What a driver asks for in one turn.
pub(crate) struct Request<'a> {
    pub(crate) settle: &'a [Settlement],
    pub(crate) renew: &'a [Token],
    /// How many jobs to claim at most.
    pub(crate) room: usize,
    /// Whether an earlier turn may have claimed jobs without our hearing of it. All tokens we know of
    /// must then be among `renew`.
    pub(crate) orphans: Orphans,
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
    pub(crate) claimed: Vec<(Token, Vec<u8>)>,
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
}

type RawReply = (i64, Vec<(Token, Vec<u8>)>, Vec<usize>, Vec<usize>, i64, u64, u64);

impl Seat {
    /// Takes a turn. Repeating one that failed is safe: a settlement counts once.
    pub(crate) async fn take(&mut self, request: &Request<'_>) -> RedisResult<Reply> {
        let keys = &self.keys;
        let mut call = TURN.prepare_invoke();
        call.key(&keys.ready)
            .key(&keys.scheduled)
            .key(&keys.running)
            .key(&keys.leases)
            .key(&keys.unique)
            .key(&keys.dead)
            .key(&keys.buried)
            .key(&keys.wake)
            .key(&keys.token);
        call.arg(&self.worker)
            .arg(millis(self.lease))
            .arg(request.room)
            .arg(match request.orphans {
                Orphans::None => 0,
                Orphans::GiveBack => 1,
            })
            .arg(request.settle.len());
        for settlement in request.settle {
            let (delay, note) = match &settlement.verdict {
                Verdict::Snooze(delay) => (millis(*delay), ""),
                Verdict::Retry { delay, note } => (millis(*delay), note.as_str()),
                Verdict::Dead { note } => (0, note.as_str()),
                Verdict::Done | Verdict::Cancel | Verdict::Release => (0, ""),
            };
            call.arg(settlement.kind()).arg(settlement.token).arg(delay).arg(note);
        }
        for token in request.renew {
            call.arg(token);
        }
        let reply: RawReply = call.invoke_async(&mut self.connection).await?;
        Ok(Reply::from(reply))
    }
}

impl From<RawReply> for Reply {
    fn from((now_ms, claimed, refused, lost, next, reclaimed, buried): RawReply) -> Self {
        Self {
            now_ms,
            claimed,
            refused,
            lost,
            next_due: u64::try_from(next).ok().map(Duration::from_millis),
            reclaimed,
            buried,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(MAX_DELAY_MS)
}
