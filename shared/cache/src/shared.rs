//! What Redis keeps for all replicas: a hash of each object, with its revision `r` and, unless it was only announced, its
//! value `v`.

use std::{sync::LazyLock, time::Duration};

use queue::BestEffort;
use redis::Script;

use crate::Key;

/// ARGV: revision, life in ms, and the value if there is one. Keeps the later revision.
static KEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local known = tonumber(redis.call('HGET', KEYS[1], 'r') or '-1')
        local revision = tonumber(ARGV[1])
        if known > revision or (known == revision and not ARGV[3]) then
          return
        end
        redis.call('HSET', KEYS[1], 'r', ARGV[1])
        if ARGV[3] then
          redis.call('HSET', KEYS[1], 'v', ARGV[3])
        else
          redis.call('HDEL', KEYS[1], 'v')
        end
        redis.call('PEXPIRE', KEYS[1], ARGV[2])
        ",
    )
});

pub(crate) async fn get(redis: &BestEffort, key: Key<'_>) -> Option<(i64, String)> {
    let name = name(redis, key);
    let (revision, value): (Option<i64>, Option<String>) = redis
        .ask(async |mut connection| redis::cmd("HMGET").arg(&name).arg("r").arg("v").query_async(&mut connection).await)
        .await?;
    revision.zip(value)
}

pub(crate) async fn keep(redis: &BestEffort, key: Key<'_>, (revision, value): (i64, &str), life: Duration) {
    store(redis, key, (revision, Some(value)), life).await;
}

pub(crate) async fn outdate(redis: &BestEffort, key: Key<'_>, revision: i64, life: Duration) {
    store(redis, key, (revision, None), life).await;
}

/// Without an answer the entry is not kept, or is believed to the end of its life.
async fn store(redis: &BestEffort, key: Key<'_>, (revision, value): (i64, Option<&str>), life: Duration) {
    let mut call = KEEP.prepare_invoke();
    call.key(name(redis, key)).arg(revision).arg(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    if let Some(value) = value {
        call.arg(value);
    }
    let _: Option<()> = redis.ask(async |mut connection| call.invoke_async(&mut connection).await).await;
}

fn name(redis: &BestEffort, Key { tenant, id }: Key<'_>) -> String {
    format!("{}:{tenant}:{id}", redis.prefix())
}
