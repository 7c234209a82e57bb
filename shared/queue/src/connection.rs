//! The way to Redis: [`Connection`], to one server or to a cluster.
//!
//! Owns connecting, finding the node that has a key, and giving a connection up. How long to go on trying is up to
//! those who call.
//!
//! A node that does not have a key says who has it, and does nothing; the call goes on to that node, which is
//! remembered. To everybody else one server and a cluster are therefore the same.
//!
//! **Invariant:** nothing is sent again unless Redis said that it did nothing. A client that repeats what was cut
//! off may do it twice, and a job would be there twice.
//!
//! **Invariant:** ASK is not followed. While a slot moves, some of its keys are here and some are there, and a script
//! would work on half a queue; so the queue rests until all of it has arrived.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster_routing::Slot;
use redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
};
use tokio::sync::OnceCell;

use crate::address::{beside, read_url};
use crate::error::QueueError;

/// How long Redis may take to answer before a call counts as failed. Explicit, because the client's
/// own default (half a second) mistakes a busy Redis for a dead one.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one call tries to connect, and at least as often as there are nodes to try: those who call again know
/// better how long to wait.
const CONNECTS: usize = 3;

/// Pause after connecting failed.
const CONNECT_PAUSE: Duration = Duration::from_millis(50);

/// How often a call is sent on: once when a slot has moved; more often only while a cluster changes its mind.
const REDIRECTIONS: u32 = 4;

/// A way to Redis, shared by its clones. Connects when first used, and again when the connection was lost or its
/// server is not the right one any more. Connections belong to the runtime they are first used on.
#[derive(Clone)]
pub struct Connection {
    map: Arc<Map>,
    /// Where a script was missing. Loading it names no key, and has to go to the same node.
    missing_at: Option<Slot>,
}

impl Connection {
    pub(crate) fn to(url: &str) -> Result<Self, QueueError> {
        Ok(Self::new(read_url(url)?))
    }

    fn new(seeds: Vec<ConnectionInfo>) -> Self {
        Self { map: Arc::new(Map::new(seeds)), missing_at: None }
    }

    /// To the same servers, with nothing in common: for another runtime.
    pub(crate) fn apart(&self) -> Self {
        Self::new(self.map.seeds.clone())
    }

    /// Hangs up everywhere and forgets who has what. The next call connects, wherever the address leads by then:
    /// after a fail-over the old connection may still be there and answer, but not do the work.
    pub(crate) fn renew(&self) {
        self.map.lock().begin_again(&self.map.seeds);
    }

    /// A connection of its own to the server that has a key, with no bound on its answers: for calls that block.
    pub(crate) async fn dedicated(&self, key: &str) -> RedisResult<MultiplexedConnection> {
        let node = self.map.node_for(Some(Slot::for_key(key)));
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT)).set_response_timeout(None);
        node.connect(&config).await
    }

    /// A connection of its own that listens to pub/sub, to any of the servers: a cluster passes messages on.
    pub(crate) async fn subscription(&self) -> RedisResult<PubSub> {
        let node = self.map.node_for(None);
        let connecting = Client::open(node.info.clone())?;
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting.get_async_pubsub()).await;
        let outcome = connected.unwrap_or_else(|_| Err(RedisError::from((ErrorKind::Io, "connecting took too long"))));
        if outcome.is_err() {
            self.map.avoid(&node);
        }
        outcome
    }

    /// Asks one particular node, `place` as in [`beside`].
    pub(crate) async fn ask_node(&self, place: &str, command: &Cmd) -> RedisResult<Value> {
        let near = self.map.node_for(None);
        let info = beside(&near.info, place).map_err(|_| unreadable(place))?;
        command.query_async(&mut Node::new(info).connect(&config()).await?).await
    }

    /// How many servers the URL names.
    pub(crate) fn seeds(&self) -> usize {
        self.map.seeds.len()
    }

    async fn call(&mut self, call: Call<'_>) -> RedisResult<Vec<Value>> {
        let slot = call.slot().or(self.missing_at.filter(|_| call.loads_script()));
        let (mut connects, mut redirections) = (0, 0);
        loop {
            let node = self.map.node_for(slot);
            let (line, mut wire) = match node.line().await {
                Ok(connected) => connected,
                Err(error) => {
                    self.map.avoid(&node);
                    connects += 1;
                    if connects >= CONNECTS.max(self.seeds()) {
                        return Err(error);
                    }
                    tokio::time::sleep(CONNECT_PAUSE).await;
                    continue;
                }
            };
            let answer = call.send(&mut wire).await;
            let Some(error) = refusal(&answer) else { return answer };
            match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) if redirections < REDIRECTIONS => {
                    redirections += 1;
                    self.map.learn(slot, &node, &error)?;
                    continue;
                }
                ErrorKind::Server(ServerErrorKind::NoScript) => self.missing_at = slot,
                _ if is_of_no_use(&error) => {
                    node.hang_up(&line);
                    self.map.avoid(&node);
                }
                _ => {}
            }
            return answer;
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.call(Call::One(command)).await?.pop().unwrap_or(Value::Nil)) })
    }

    /// A pipeline has keys of one slot, and is no transaction.
    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.call(Call::Many { pipeline, offset, count }))
    }

    fn get_db(&self) -> i64 {
        self.map.seeds.first().map_or(0, |seed| seed.redis_settings().db())
    }
}

/// What is sent.
enum Call<'a> {
    One(&'a Cmd),
    Many { pipeline: &'a Pipeline, offset: usize, count: usize },
}

impl Call<'_> {
    fn first(&self) -> Option<&Cmd> {
        match self {
            Self::One(command) => Some(command),
            Self::Many { pipeline, .. } => pipeline.cmd_iter().next(),
        }
    }

    fn word(&self, at: usize) -> Option<&[u8]> {
        match self.first()?.args_iter().nth(at)? {
            Arg::Simple(word) => Some(word),
            _ => None,
        }
    }

    fn loads_script(&self) -> bool {
        self.word(0) == Some(b"SCRIPT")
    }

    /// The slot of the first key; nothing if any node will do.
    fn slot(&self) -> Option<Slot> {
        let key = match self.word(0)? {
            b"SCRIPT" | b"PING" | b"INFO" | b"CLUSTER" | b"TIME" => return None,
            b"EVALSHA" => self.word(3),
            _ => self.word(1),
        };
        key.map(Slot::for_key)
    }

    async fn send(&self, wire: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(command) => Ok(vec![wire.req_packed_command(command).await?]),
            Self::Many { pipeline, offset, count } => wire.req_packed_commands(pipeline, *offset, *count).await,
        }
    }
}

/// The error, or the first answer if that is one: where the first command of a pipeline was not done because the
/// slot is elsewhere, none was.
fn refusal(answer: &RedisResult<Vec<Value>>) -> Option<RedisError> {
    match answer {
        Err(error) => Some(error.clone()),
        Ok(values) => match values.first() {
            Some(Value::ServerError(error)) => Some(error.clone().into()),
            _ => None,
        },
    }
}

/// Whether another connection, perhaps to another server, may do better than this one.
fn is_of_no_use(error: &RedisError) -> bool {
    let kind_is_of_no_use = matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::Moved
        )
    );
    kind_is_of_no_use || error.is_io_error() || error.is_unrecoverable_error()
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
}

fn unreadable(place: &str) -> RedisError {
    RedisError::from((ErrorKind::Client, "a node that cannot be reached from here", place.to_owned()))
}

/// All servers known so far, and who has what.
struct Map {
    seeds: Vec<ConnectionInfo>,
    known: Mutex<Known>,
}

struct Known {
    nodes: Vec<Arc<Node>>,
    /// The node that is asked where nothing better is known: an index into the nodes.
    entry: usize,
    owners: HashMap<Slot, Arc<Node>>,
}

impl Map {
    fn new(seeds: Vec<ConnectionInfo>) -> Self {
        let mut known = Known { nodes: Vec::new(), entry: 0, owners: HashMap::new() };
        known.begin_again(&seeds);
        Self { seeds, known: Mutex::new(known) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_for(&self, slot: Option<Slot>) -> Arc<Node> {
        let known = self.lock();
        let owner = slot.and_then(|slot| known.owners.get(&slot));
        Arc::clone(owner.unwrap_or(&known.nodes[known.entry]))
    }

    /// Heeds a redirection by `from`.
    fn learn(&self, slot: Option<Slot>, from: &Node, redirection: &RedisError) -> RedisResult<()> {
        let (Some((place, _)), Some(slot)) = (redirection.redirect_node(), slot) else {
            return Err(redirection.clone());
        };
        let info = beside(&from.info, place).map_err(|_| unreadable(place))?;
        let mut known = self.lock();
        let found = known.nodes.iter().find(|node| node.info.addr() == info.addr()).cloned();
        let owner = found.unwrap_or_else(|| {
            let node = Arc::new(Node::new(info));
            known.nodes.push(Arc::clone(&node));
            node
        });
        known.owners.insert(slot, owner);
        Ok(())
    }

    /// Does not count on a node any more, until another names it.
    fn avoid(&self, node: &Arc<Node>) {
        let mut known = self.lock();
        known.owners.retain(|_, owner| !Arc::ptr_eq(owner, node));
        let Some(at) = known.nodes.iter().position(|other| Arc::ptr_eq(other, node)) else { return };
        if at < self.seeds.len() {
            known.entry += usize::from(known.entry == at);
        } else {
            known.nodes.remove(at);
            known.entry -= usize::from(known.entry > at);
        }
        known.entry %= known.nodes.len();
    }
}

impl Known {
    /// The entry moves on: what did not work is asked last.
    fn begin_again(&mut self, seeds: &[ConnectionInfo]) {
        self.owners.clear();
        self.nodes = seeds.iter().cloned().map(|seed| Arc::new(Node::new(seed))).collect();
        self.entry = (self.entry + 1) % self.nodes.len();
    }
}

/// One server.
struct Node {
    info: ConnectionInfo,
    line: Mutex<Line>,
}

/// A connection, made once by whoever needs it first.
type Line = Arc<OnceCell<MultiplexedConnection>>;

impl Node {
    fn new(info: ConnectionInfo) -> Self {
        Self { info, line: Mutex::default() }
    }

    async fn connect(&self, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
        Client::open(self.info.clone())?.get_multiplexed_async_connection_with_config(config).await
    }

    async fn line(&self) -> RedisResult<(Line, MultiplexedConnection)> {
        let line = Arc::clone(&self.line.lock().unwrap_or_else(PoisonError::into_inner));
        let wire = line.get_or_try_init(async || self.connect(&config()).await).await?.clone();
        Ok((line, wire))
    }

    /// Gives a connection up, unless somebody has replaced it already.
    fn hang_up(&self, line: &Line) {
        let mut current = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, line) {
            *current = Line::default();
        }
    }
}
