//! Stories of dead letters handled one by one: found, shown, edited, requeued, discarded; their journal; their return.

use std::time::Duration;

use queue::{
    By, DeadChange, DeadChangeKind, DeadCursor, DeadFilter, DeadLetter, Depth, Edited, Enqueued, Limit, NewJob, Page,
    Priority, QueueClient, QueueError, Requeued, StoredDeadLetter,
};

use crate::dead_state::{Sketch, all_dead, by, consistent, count, put};
use crate::harness::{Act, Lab, QUEUE, Scope, Step, until, worker};
use crate::proxy::Proxy;
use crate::server::{PREFIX, Redis};

async fn died(client: &QueueClient, letters: u64) {
    until("they died", async || {
        let depth = client.depth(QUEUE).await.unwrap();
        depth == Depth { dead: letters, ..Depth::default() }
    })
    .await;
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.as_str()).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn each_condition_of_a_filter_counts() {
    let server = Redis::start().await;
    let client = server.client().await;
    let mut letters = Vec::new();
    for (at, job) in ["act", "cameo"].into_iter().enumerate() {
        for tenant in ["acme", "globex", "-"] {
            for code in ["busy", "gone"] {
                for message in ["call 1 failed", "no card"] {
                    let id = format!("{job}.{tenant}.{code}.{}", &message[..2]);
                    let died_at_ms = 1_000 * (at as i64 + 1);
                    letters.push(Sketch { id, died_at_ms, job, tenant, code, message, unique: "-" }.letter());
                }
            }
        }
    }
    put(&client, letters).await;
    let none = DeadFilter::default;
    let example = client.dead_letter(QUEUE, "act.acme.busy.ca").await.unwrap().unwrap();
    for (filter, means) in [
        (none(), 24),
        (DeadFilter { job: some("act"), ..none() }, 12),
        (DeadFilter { tenant: some("globex"), ..none() }, 8),
        (DeadFilter { code: some("gone"), ..none() }, 12),
        (DeadFilter { fingerprint: Some(example.fingerprint.clone()), ..none() }, 3),
        (DeadFilter { died_from_ms: Some(1_001), ..none() }, 12),
        (DeadFilter { died_from_ms: Some(2_000), died_until_ms: Some(2_001), ..none() }, 12),
        (DeadFilter { died_until_ms: Some(1_000), ..none() }, 0),
        (DeadFilter { died_until_ms: Some(2_000), code: some("busy"), ..none() }, 6),
        (DeadFilter { died_from_ms: Some(2_000), code: some("busy"), ..none() }, 6),
        (DeadFilter { died_from_ms: Some(2_001), code: some("busy"), ..none() }, 0),
        (DeadFilter { job: some("act"), tenant: some("acme"), code: some("busy"), ..none() }, 2),
        (DeadFilter { job: some("ac"), ..none() }, 0),
    ] {
        let found = client.dead_letters(QUEUE, &filter, Page { before: None, limit: 100 }).await.unwrap();
        assert_eq!(found.len(), means, "{filter:?}");
        assert_eq!(client.count_dead(QUEUE, &filter).await.unwrap(), means as u64, "{filter:?}");
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        for letter in found {
            assert!(fits(&filter.job, &letter.job) && fits(&filter.code, &letter.history[0].code));
            assert!(fits(&filter.tenant, letter.tenant.as_deref().unwrap_or_default()));
            assert!(fits(&filter.fingerprint, &letter.fingerprint));
        }
    }
    assert_eq!((example.tenant.as_deref(), example.attempts, example.died_at_ms), (Some("acme"), 1, 1_000));
    consistent(&server).await;
}

#[tokio::test]
async fn pages_meet_every_letter_once_although_many_died_at_one_moment_and_some_go() {
    const LETTERS: usize = 2_600;
    let server = Redis::start().await;
    let client = server.client().await;
    let sketch = |at: usize| Sketch {
        // Ids whose order by bytes is not that of a dictionary.
        id: format!("{}{at}", ["a", "B", "b", "A"][at % 4]),
        died_at_ms: 1_000 + (at % 3) as i64,
        ..Sketch::default()
    };
    put(&client, (0..LETTERS).map(|at| sketch(at).letter()).collect()).await;
    let order: Vec<String> = server.ask(&["ZREVRANGE", &Redis::key(QUEUE, "dead"), "0", "-1"]).await;
    let mut met: Vec<String> = Vec::new();
    let mut before = None;
    let all = DeadFilter::default();
    loop {
        let page = client.dead_letters(QUEUE, &all, Page { before: before.take(), limit: 700 }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(DeadCursor { died_at_ms: last.died_at_ms, id: last.id.clone() });
        met.extend(ids(&page).into_iter().map(str::to_owned));
        // Before some pages, the very letter that they begin after.
        let gone = if met.len().is_multiple_of(1_400) { &last.id } else { &page[0].id };
        assert!(client.discard_dead(QUEUE, gone, &by()).await.unwrap());
    }
    assert_eq!(met, order);
    let none = client.dead_letters(QUEUE, &all, Page::default()).await.unwrap();
    assert_eq!((none, count(&client).await), (Vec::new(), LETTERS as u64 - 4));
    consistent(&server).await;
}

#[tokio::test]
async fn letters_of_one_cause_are_a_group_however_their_messages_vary() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(4));
    let says = |name: &str, message: String| Act::new(name, &[Step::FatalSaying(message)]);
    let mut jobs = Vec::new();
    for at in 0..30 {
        let message = format!("customer cus_{at}kTMd9aQ0xP: card \"{at}\" declined after {} ms", at * 7);
        jobs.push(says("declined", message).tenant(["acme", "globex", "initech"][at % 3]).job());
    }
    jobs.extend((0..5).map(|at| says("lost", format!("no plan {at}")).job()));
    client.enqueue_many(jobs).await.unwrap();
    died(&client, 35).await;
    client.enqueue(says("late", "no plan 77".to_owned()).job()).await.unwrap();
    died(&client, 36).await;

    let groups = client.dead_groups(QUEUE, &DeadFilter::default()).await.unwrap();
    let [declined, lost] = &groups[..] else { panic!("two groups: {groups:?}") };
    assert_eq!((declined.count, declined.tenants, lost.count, lost.tenants), (30, 3, 6, 1));
    assert_eq!((lost.job.as_str(), lost.code.as_str(), lost.message.as_str()), ("act", "hopeless", "no plan 77"));
    assert!(declined.message.starts_with("customer cus_") && declined.first_ms <= declined.last_ms);
    let latest = client.dead_letter(QUEUE, &lost.latest_id).await.unwrap().unwrap();
    assert_eq!((latest.died_at_ms, latest.history[0].message.as_str()), (lost.last_ms, "no plan 77"));

    let of_group = DeadFilter { fingerprint: Some(declined.fingerprint.clone()), ..DeadFilter::default() };
    assert_eq!(client.count_dead(QUEUE, &of_group).await.unwrap(), 30);
    let acmes = DeadFilter { tenant: some("acme"), ..DeadFilter::default() };
    let groups = client.dead_groups(QUEUE, &acmes).await.unwrap();
    assert_eq!(groups.iter().map(|group| (group.count, group.tenants)).collect::<Vec<_>>(), [(10, 1), (6, 1)]);
    consistent(&server).await;
}

#[tokio::test]
async fn who_is_requeued_starts_anew_at_the_end_of_the_line_with_its_history() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    let steps = [Step::Retry, Step::Retry, Step::Retry, Step::Fatal, Step::Done];
    let job = Act::new("stubborn", &steps).unique("key", Scope::WaitingOrRunning).job();
    let job = job.priority(Priority::Low).request_id("req_1").parent("the parent");
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();
    died(&client, 1).await;
    working.stop().await.unwrap();
    let low = |name| Act::new(name, &[Step::Done]).job().priority(Priority::Low);
    client.enqueue(low("before")).await.unwrap();
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Requeued);
    client.enqueue(low("behind")).await.unwrap();
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth { ready: 3, ..Depth::default() });
    consistent(&server).await;

    let _worker = lab.work(&client, worker(1));
    died(&client, 1).await;
    let last: Vec<String> = lab.names().split_off(3);
    assert_eq!(last, ["before", "stubborn", "behind"]);
    let letter = client.dead_letter(QUEUE, &id).await.unwrap().unwrap();
    let attempts: Vec<u32> = letter.history.iter().map(|failure| failure.attempt).collect();
    assert_eq!((attempts, letter.attempts), (vec![1, 2, 3, 1], 1));
    assert_eq!(letter.unique_key.as_deref(), Some("key"));
    assert_eq!((letter.request_id.as_deref(), letter.parent.as_deref()), (Some("req_1"), Some("the parent")));
    consistent(&server).await;
    let no_reason = By { reason: String::new(), ..by() };
    assert_eq!(client.requeue_dead(QUEUE, &id, &no_reason).await.unwrap(), Requeued::Requeued);
    died(&client, 0).await;
    assert!(consistent(&server).await.holders.is_empty());
}

#[tokio::test]
async fn an_edited_payload_is_what_runs() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    let job = Act::new("wrong", &[Step::Fatal]).job();
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();
    died(&client, 1).await;
    let before = client.dead_letter(QUEUE, &id).await.unwrap().unwrap();

    let payload = serde_json::to_string_pretty(&Act::new("right", &[Step::Done])).unwrap();
    assert!(payload.contains('\n'));
    assert_eq!(client.edit_dead(QUEUE, &id, &payload, &by()).await.unwrap(), Edited::Edited);
    let after = client.dead_letter(QUEUE, &id).await.unwrap().unwrap();
    assert_eq!(DeadLetter { payload: before.payload.clone(), ..after.clone() }, before, "all else stays");
    assert_eq!(after.payload, serde_json::to_string(&Act::new("right", &[Step::Done])).unwrap());
    consistent(&server).await;

    for (payload, by) in [
        ("{\"name\":", by()),
        (&format!("\"{}\"", "x".repeat(queue::MAX_PAYLOAD_BYTES)), by()),
        ("{}", By { reason: " ".to_owned(), ..by() }),
    ] {
        let refused = client.edit_dead(QUEUE, &id, payload, &by).await;
        assert!(matches!(refused, Err(QueueError::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(client.edit_dead(QUEUE, "nobody", "{}", &by()).await.unwrap(), Edited::Missing);
    assert_eq!(client.dead_letter(QUEUE, &id).await.unwrap(), Some(after));
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Requeued);
    died(&client, 0).await;
    assert_eq!(lab.names(), ["wrong", "right"]);
    assert_eq!(client.edit_dead(QUEUE, &id, "{}", &by()).await.unwrap(), Edited::Missing);
}

#[tokio::test]
async fn what_is_discarded_leaves_a_line_in_the_journal_and_nothing_else() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(1));
    let job = Act::new("useless", &[Step::Fatal]).unique("key", Scope::Waiting).job();
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();
    died(&client, 1).await;
    working.stop().await.unwrap();
    let unsaid = By { reason: String::new(), ..by() };
    let refused = client.discard_dead(QUEUE, &id, &unsaid).await;
    assert!(matches!(refused, Err(QueueError::Invalid { .. })), "{refused:?}");
    assert_eq!(count(&client).await, 1);
    assert!(client.discard_dead(QUEUE, &id, &by()).await.unwrap());
    assert!(!client.discard_dead(QUEUE, &id, &by()).await.unwrap(), "only once");
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Missing);
    let left = ["dead:changes", "token"].map(|part| Redis::key(QUEUE, part));
    assert_eq!(server.all_keys().await, left);

    // A job that is alive is no dead letter.
    let job = Act::new("alive", &[Step::Done]).job();
    let id = job.id().to_owned();
    client.enqueue(job).await.unwrap();
    assert!(!client.discard_dead(QUEUE, &id, &by()).await.unwrap());
    assert_eq!(client.requeue_dead(QUEUE, &id, &by()).await.unwrap(), Requeued::Missing);
    assert_eq!(client.dead_letter(QUEUE, &id).await.unwrap(), None);
    assert_eq!(client.depth(QUEUE).await.unwrap().ready, 1);
}

#[tokio::test]
async fn what_is_no_job_can_be_shown_and_discarded_and_nothing_else() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let poison =
        [("a0", "no job at all"), ("a1", ".0 n 1+0 act acme - -\nnot json\n{}"), ("a2", ".0 n 1+0 act acme - -\n")];
    for (id, entry) in poison {
        let _added: i64 = server.ask(&["HSET", &Redis::key(QUEUE, "jobs"), id, entry]).await;
        let _length: i64 = server.ask(&["RPUSH", &Redis::key(QUEUE, "ready/n/acme"), id]).await;
    }
    let _length: i64 = server.ask(&["RPUSH", &Redis::key(QUEUE, "ready/n"), "acme"]).await;
    let _worker = lab.work(&client, worker(1));
    died(&client, 3).await;
    let malformed = DeadFilter { code: some("malformed_entry"), ..DeadFilter::default() };
    assert_eq!(client.count_dead(QUEUE, &malformed).await.unwrap(), 3);
    let letters = all_dead(&client).await;
    for (id, entry) in poison {
        let letter = letters.iter().find(|letter| letter.id == id).unwrap();
        assert!(letter.payload.ends_with(&entry[entry.find(' ').unwrap()..]), "{letter:?}");
        assert_eq!(client.requeue_dead(QUEUE, id, &by()).await.unwrap(), Requeued::Malformed);
        assert_eq!(client.edit_dead(QUEUE, id, "{}", &by()).await.unwrap(), Edited::Malformed);
    }
    let groups = client.dead_groups(QUEUE, &malformed).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 3);
    for (id, _) in poison {
        assert!(client.discard_dead(QUEUE, id, &by()).await.unwrap());
    }
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth::default());
}

#[tokio::test]
async fn a_dead_key_is_the_latest_letters() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    let job = || Act::new("again", &[Step::Fatal]).unique("key", Scope::Waiting).job();
    let mut dead = Vec::new();
    for letters in 1..=3 {
        let job = job();
        dead.push(job.id().to_owned());
        client.enqueue(job).await.unwrap();
        died(&client, letters).await;
    }
    let blocked = async || client.enqueue(job().unless_dead()).await.unwrap() == Enqueued::Duplicate;
    assert!(blocked().await);
    let holder = async || consistent(&server).await.holders.into_values().next();
    assert_eq!(holder().await.as_ref(), Some(&dead[2]));
    // An older one goes: the latest still holds it. One that dies again is the latest.
    assert!(client.discard_dead(QUEUE, &dead[0], &by()).await.unwrap());
    assert!(blocked().await);
    assert_eq!(client.requeue_dead(QUEUE, &dead[1], &by()).await.unwrap(), Requeued::Requeued);
    until("it died again", async || holder().await.as_ref() == Some(&dead[1])).await;
    died(&client, 2).await;
    assert!(client.discard_dead(QUEUE, &dead[1], &by()).await.unwrap());
    assert_eq!(client.enqueue(job().unless_dead()).await.unwrap(), Enqueued::Added);
    died(&client, 2).await;
    consistent(&server).await;
}

/// Whose, what, who did it, and whether the letter is there.
fn told(changes: &[DeadChange]) -> Vec<(&str, DeadChangeKind, Option<&str>, bool)> {
    let tell = changes.iter().map(|change| {
        let who = change.by.as_ref().map(|by| by.who.as_str());
        (change.id.as_str(), change.what, who, change.letter.is_some())
    });
    tell.collect()
}

#[tokio::test]
async fn the_journal_tells_every_change_in_order_until_it_is_forgotten() {
    use DeadChangeKind::{Died, Discarded, Edited, Requeued};
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let _worker = lab.work(&client, worker(1));
    let jobs = ["one", "two"].map(|name| Act::new(name, &[Step::Fatal, Step::Done]).job());
    let [one, two] = [&jobs[0], &jobs[1]].map(|job| job.id().to_owned());
    client.enqueue_many(jobs.into()).await.unwrap();
    died(&client, 2).await;
    let person = |who: &str| By { who: who.to_owned(), ..by() };
    client.edit_dead(QUEUE, &two, "{\"name\":7}", &person("eve")).await.unwrap();
    client.requeue_dead(QUEUE, &one, &person("ada")).await.unwrap();
    died(&client, 1).await;

    let changes = client.dead_changes(QUEUE, 500).await.unwrap();
    let (one, two) = (one.as_str(), two.as_str());
    let begin = [(one, Died, None, false), (two, Died, None, true), (two, Edited, Some("eve"), true)];
    assert_eq!(told(&changes), [&begin[..], &[(one, Requeued, Some("ada"), false)]].concat());
    assert_eq!(changes[3].by.as_ref().unwrap().reason, by().reason);
    assert!(changes.iter().all(|change| change.at_ms > 0));
    assert_eq!(changes[1].letter.as_ref().unwrap().read(QUEUE), all_dead(&client).await[0]);
    assert_eq!(changes[1].letter.as_ref().unwrap().read(QUEUE).payload, "{\"name\":7}", "as it is now");

    // Read again before it is forgotten, in parts, by whoever.
    assert_eq!(client.dead_changes(QUEUE, 500).await.unwrap(), changes);
    assert_eq!(client.dead_changes(QUEUE, 3).await.unwrap(), changes[..3]);
    let first: Vec<String> = changes[..3].iter().map(|change| change.change_id.clone()).collect();
    client.forget_dead_changes(QUEUE, &first).await.unwrap();
    client.forget_dead_changes(QUEUE, &first).await.unwrap();
    client.forget_dead_changes(QUEUE, &[]).await.unwrap();
    assert_eq!(client.dead_changes(QUEUE, 500).await.unwrap(), changes[3..]);
    client.forget_dead_changes(QUEUE, &[changes[3].change_id.clone()]).await.unwrap();
    assert_eq!(client.dead_changes(QUEUE, 500).await.unwrap(), []);

    client.discard_dead(QUEUE, two, &person("bob")).await.unwrap();
    let changes_after = client.dead_changes(QUEUE, 500).await.unwrap();
    assert_eq!(told(&changes_after), [(two, Discarded, Some("bob"), false)]);
    let order = |change: &DeadChange| {
        let (ms, number) = change.change_id.split_once('-').unwrap();
        (ms.parse::<u64>().unwrap(), number.parse::<u64>().unwrap())
    };
    assert!(changes.iter().chain(&changes_after).is_sorted_by(|one, next| order(one) < order(next)));
}

#[tokio::test]
async fn what_redis_lost_is_put_back_once() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    let working = lab.work(&client, worker(2));
    let mut jobs: Vec<NewJob> =
        (0..5).map(|at| Act::new(&format!("n{at}"), &[Step::Retry, Step::Fatal]).job()).collect();
    jobs.push(Act::new("keyed", &[Step::Fatal, Step::Done]).unique("key", Scope::WaitingOrRunning).job());
    client.enqueue_many(jobs).await.unwrap();
    died(&client, 6).await;
    working.stop().await.unwrap();
    let before = all_dead(&client).await;
    let changes = client.dead_changes(QUEUE, 500).await.unwrap();
    let mut mirror: Vec<StoredDeadLetter> = changes.into_iter().filter_map(|change| change.letter).collect();
    let raw = consistent(&server).await.died_at;

    let _lost: String = server.ask(&["FLUSHALL"]).await;
    assert_eq!(client.restore_dead(QUEUE, mirror.clone()).await.unwrap(), 6);
    assert_eq!(all_dead(&client).await, before);
    let state = consistent(&server).await;
    assert_eq!((state.died_at, state.holders.len()), (raw, 1));
    assert_eq!(client.dead_changes(QUEUE, 500).await.unwrap(), [], "who restores them knows them");
    assert_eq!(client.restore_dead(QUEUE, mirror.clone()).await.unwrap(), 0);

    // Who is at work again stays there.
    let keyed = before.iter().find(|letter| letter.unique_key.is_some()).unwrap();
    assert_eq!(client.requeue_dead(QUEUE, &keyed.id, &by()).await.unwrap(), Requeued::Requeued);
    assert_eq!(client.restore_dead(QUEUE, mirror.clone()).await.unwrap(), 0);
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth { ready: 1, dead: 5, ..Depth::default() });
    mirror.retain(|letter| letter.id != keyed.id);
    let _worker = lab.work(&client, worker(1));
    lab.began("keyed", 2).await;
    died(&client, 5).await;
    consistent(&server).await;
}

#[tokio::test]
async fn the_largest_letters_are_read_and_put_back_in_portions() {
    const LETTERS: usize = 80;
    let server = Redis::start().await;
    let client = server.client().await;
    let payload = format!("\"{}\"", "x".repeat(queue::MAX_PAYLOAD_BYTES - 2));
    put(&client, (0..LETTERS).map(|at| Sketch { id: format!("n{at:02}"), ..Sketch::default() }.letter()).collect())
        .await;
    for at in 0..LETTERS {
        client.edit_dead(QUEUE, &format!("n{at:02}"), &payload, &by()).await.unwrap();
    }
    let page = Page { before: None, limit: LETTERS };
    let letters = client.dead_letters(QUEUE, &DeadFilter::default(), page).await.unwrap();
    assert_eq!((letters.len(), letters.iter().all(|letter| letter.payload == payload)), (LETTERS, true));

    let mut mirror = Vec::new();
    let mut portions = 0;
    loop {
        let changes = client.dead_changes(QUEUE, 500).await.unwrap();
        if changes.is_empty() {
            break;
        }
        portions += 1;
        let told: Vec<String> = changes.iter().map(|change| change.change_id.clone()).collect();
        client.forget_dead_changes(QUEUE, &told).await.unwrap();
        mirror.extend(changes.into_iter().filter_map(|change| change.letter));
    }
    assert_eq!((mirror.len(), portions), (LETTERS, 2));
    let _lost: String = server.ask(&["FLUSHALL"]).await;
    put(&client, mirror).await;
    let restored =
        client.dead_letters(QUEUE, &DeadFilter::default(), Page { before: None, limit: LETTERS }).await.unwrap();
    assert!(restored == letters, "they are what they were");
}

#[tokio::test]
async fn with_memory_full_letters_can_still_be_requeued_and_discarded() {
    let server = Redis::start().await;
    let client = server.client().await;
    put(&client, ["a", "b"].map(|id| Sketch { id: id.to_owned(), ..Sketch::default() }.letter()).into()).await;
    let _set: String = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let edited = client.edit_dead(QUEUE, "a", "{}", &by()).await;
    assert!(matches!(edited, Err(QueueError::Unavailable { .. })), "{edited:?}");
    let more = client.restore_dead(QUEUE, vec![Sketch { id: "c".to_owned(), ..Sketch::default() }.letter()]).await;
    assert!(matches!(more, Err(QueueError::Unavailable { .. })), "{more:?}");
    assert_eq!(client.requeue_dead(QUEUE, "a", &by()).await.unwrap(), Requeued::Requeued);
    assert!(client.discard_dead(QUEUE, "b", &by()).await.unwrap());
    assert_eq!(client.depth(QUEUE).await.unwrap(), Depth { ready: 1, ..Depth::default() });
    let markers: u32 = server.ask(&["ZCARD", &Redis::key(QUEUE, "wake")]).await;
    assert_eq!(markers, 1, "an idle worker is told");
}

/// Jobs that run at once and die when their gate opens.
const WAVE: u32 = 8;

async fn wave(client: &QueueClient, lab: &Lab, number: u32) -> NewJob {
    let name = |at: u32| format!("wave{number}.{at}");
    let act = |name: &str, step| Act::new(name, &[step]).limit("wave", 1);
    let job = |at| act(&name(at), Step::FatalAtGate(number)).unique(&name(at), Scope::Waiting).job();
    client.enqueue_many((0..WAVE).map(job).collect()).await.unwrap();
    for at in 0..WAVE {
        lab.began(&name(at), 1).await;
    }
    // The limit lets nobody claim it before one of them has died.
    act(&format!("after{number}"), Step::Done).job()
}

#[tokio::test]
async fn a_worker_killed_around_the_moment_of_death_leaves_one_letter_each() {
    let server = Redis::start().await;
    let client = server.client().await;
    let lab = Lab::new();
    client.set_limit(QUEUE, "wave", &Limit { concurrency: Some(WAVE), rate: None }).await.unwrap();
    let life = async || {
        let proxy = Proxy::to(&server).await;
        let through = QueueClient::connect(&proxy.url(), PREFIX).await.unwrap();
        let config = worker(WAVE as usize).lease(Duration::from_millis(400));
        (lab.work(&through, config), proxy)
    };

    let (killed_before, proxy) = life().await;
    wave(&client, &lab, 1).await;
    proxy.cut();
    lab.open_gate(1);
    drop(killed_before);
    assert_eq!(count(&client).await, 0);

    let (killed_after, proxy) = life().await;
    died(&client, WAVE.into()).await;
    let next = wave(&client, &lab, 2).await;
    proxy.lose_reply_with(next.id());
    client.enqueue(next).await.unwrap();
    lab.open_gate(2);
    until("the reply to the ack is lost", async || proxy.lost_it()).await;
    proxy.cut();
    drop(killed_after);
    assert!(count(&client).await > WAVE.into(), "some died, whether heard of or not");
    consistent(&server).await.check_journal();

    let (lives_on, proxy) = life().await;
    died(&client, (2 * WAVE).into()).await;
    let next = wave(&client, &lab, 3).await;
    proxy.lose_reply_with(next.id());
    client.enqueue(next).await.unwrap();
    lab.open_gate(3);
    died(&client, (3 * WAVE).into()).await;
    assert!(proxy.lost_it());
    consistent(&server).await.check_journal();

    wave(&client, &lab, 4).await;
    lab.open_gate(4);
    proxy.cut();
    drop(lives_on);
    consistent(&server).await.check_journal();
    let _survivor = life().await;
    died(&client, (4 * WAVE).into()).await;
    let state = consistent(&server).await;
    state.check_journal();
    assert_eq!(state.holders.len(), 4 * WAVE as usize);
    let deaths = client.dead_changes(QUEUE, 1_000).await.unwrap().len();
    assert_eq!(deaths, 4 * WAVE as usize, "each died once");
}
