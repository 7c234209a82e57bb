//! Whether a Redis may carry a queue: its version, that it never evicts, and in a cluster the same of every primary.
//!
//! Looks once, when a client connects.

use redis::{InfoDict, RedisResult, Value, cmd, from_redis_value};

use crate::connection::Connection;
use crate::error::QueueError;

/// The oldest Redis with everything the scripts use (flags in the first line, effects replication).
const OLDEST_REDIS: u32 = 7;

/// The first three parts of a line of `CLUSTER SLOTS`: from slot, to slot, primary.
const PRIMARY_AT: usize = 2;

/// Refuses servers that would lose jobs or cannot run the scripts.
pub(crate) async fn check(connection: &Connection) -> Result<(), QueueError> {
    let reading = || QueueError::redis("reading the server's properties");
    // INFO rather than CONFIG GET: hosted Redis often forbids the latter.
    let info: InfoDict = cmd("INFO").query_async(&mut connection.clone()).await.map_err(reading())?;
    if info.get("cluster_enabled") != Some(1) {
        if connection.seeds() > 1 {
            return unsuitable("several nodes are named, and they are no cluster".to_owned());
        }
        return check_info(&info);
    }
    for place in primaries(connection).await.map_err(reading())? {
        let info = connection.ask_node(&place, &cmd("INFO")).await.map_err(reading())?;
        check_info(&from_redis_value(info).map_err(|error| reading()(error.into()))?)?;
    }
    Ok(())
}

fn check_info(info: &InfoDict) -> Result<(), QueueError> {
    let version: String = info.get("redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|part| part.parse().ok());
    if major.is_none_or(|major: u32| major < OLDEST_REDIS) {
        return unsuitable(format!("it is version {version:?}; {OLDEST_REDIS} or newer is needed"));
    }
    let policy: String = info.get("maxmemory_policy").unwrap_or_default();
    if policy != "noeviction" {
        return unsuitable(format!(
            "maxmemory-policy is {policy:?}, which evicts jobs when memory is full; \
             set maxmemory-policy noeviction"
        ));
    }
    Ok(())
}

fn unsuitable(reason: String) -> Result<(), QueueError> {
    Err(QueueError::Unsuitable { reason })
}

/// The nodes that have slots, as `host:port`.
async fn primaries(connection: &Connection) -> RedisResult<Vec<String>> {
    let ranges: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query_async(&mut connection.clone()).await?;
    let mut places = Vec::new();
    for mut range in ranges {
        if range.len() <= PRIMARY_AT {
            continue;
        }
        let mut node: Vec<Value> = from_redis_value(range.swap_remove(PRIMARY_AT))?;
        node.truncate(2);
        // Without a host it is the one that was asked.
        let (host, port): (Option<String>, u16) = from_redis_value(Value::Array(node))?;
        places.push(format!("{}:{port}", host.unwrap_or_default()));
    }
    places.sort_unstable();
    places.dedup();
    Ok(places)
}
