//! Runs and creations at once: whoever comes first bills, the other finds nothing.

use futures::future::join;
use store::{ChunkState, Invoice, ListFilter, PageRequest};

use crate::{
    pipeline::Repeat,
    servers::Servers,
    world::{TENANT, WALL, World},
};

const START: &str = "2026-04-10T00:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_creations_at_once_bill_each_boundary_once() {
    let servers = Servers::start();
    two_runs_at_once(&servers.world("two_runs").await).await;
    a_pass_that_another_run_has_billed_is_skipped(&servers.world("skipped").await).await;
    a_creation_during_a_run(&servers.world("creation").await).await;
    a_run_is_planned_by_chunks(&servers.world("chunks").await).await;
}

async fn subscribers(world: &World, count: usize) {
    for index in 0..count {
        world.subscriber(&format!("{index:03}"), ("dev", "pm_sandbox_ok"), START).await;
    }
}

/// Four boundaries each: 1 May, June, July, August, and the initial one.
async fn assert_billed_once(world: &World, subscriptions: usize) {
    let invoices = world.all::<Invoice>().await;
    assert_eq!(invoices.len(), subscriptions * 5);
    let mut charged: Vec<String> =
        invoices.iter().map(|invoice| format!("{} {}", invoice.id, invoice.content.total_minor)).collect();
    charged.sort();
    assert_eq!(world.gateway.charges().await, charged);
    for invoice in invoices {
        assert_eq!((invoice.status.as_str(), invoice.attempts), ("paid", 1), "{}", invoice.id);
    }
}

async fn two_runs_at_once(world: &World) {
    world.set_up().await;
    subscribers(world, 12).await;
    world.run("run_1").await;
    world.run("run_2").await;
    let (one, other) = join(world.drive("run_1", Repeat::Once), world.drive("run_2", Repeat::Once)).await;
    assert_eq!(one.invoiced + other.invoiced, 12 * 4);
    assert_eq!((one.failed, other.failed), (0, 0));
    assert_billed_once(world, 12).await;
}

/// Both runs have frozen the same pass; the second one to bill finds every boundary billed.
async fn a_pass_that_another_run_has_billed_is_skipped(world: &World) {
    world.set_up().await;
    subscribers(world, 3).await;
    for run in ["run_1", "run_2"] {
        world.run(run).await;
        world.drive_to(run, ChunkState::Usage).await;
    }
    let first = world.drive("run_1", Repeat::Once).await;
    let second = world.drive("run_2", Repeat::Once).await;
    assert_eq!((first.invoiced, first.skipped), (12, 0));
    assert_eq!((second.invoiced, second.skipped, second.failed), (0, 3, 0));
    assert_billed_once(world, 3).await;
}

async fn a_creation_during_a_run(world: &World) {
    world.set_up().await;
    subscribers(world, 4).await;
    world.plan("pln_extra", "extra", BASE).await;
    world.run("run_1").await;
    let create = async {
        for index in 0..4 {
            let (id, customer) = (format!("sub_extra{index}"), format!("cus_{index:03}"));
            let before = "2026-07-10T00:00:00Z";
            while let Err(error) = world.subscribe(&id, (&customer, "extra"), before).await {
                assert!(error.is_conflict(), "{error}");
            }
        }
    };
    join(world.drive("run_1", Repeat::Once), create).await;
    world.run("run_2").await;
    world.drive("run_2", Repeat::Once).await;

    for index in 0..4 {
        let billed = world.billed(&format!("sub_extra{index}")).await;
        assert_eq!(billed, ["2026-07-10 paid 1419", "2026-08-01 paid 2000"]);
    }
    let invoices = world.all::<Invoice>().await;
    assert_eq!(invoices.len(), 4 * 5 + 4 * 2);
}

const BASE: &str = r#"{"key":"base","kind":"fixed","timing":"advance","model":{"type":"flat","amount":"20.00"}}"#;

/// More customers than a chunk takes: planned by two at once, none is left out and none is planned twice.
async fn a_run_is_planned_by_chunks(world: &World) {
    world.set_up().await;
    world.subscriber("000", ("base", "pm_sandbox_ok"), "2026-07-10T00:00:00Z").await;
    world.multiply(205).await;
    world.run("run_1").await;
    let plan = || billing::plan_billing_run(&world.billing, (TENANT, "run_1"), WALL);
    let (one, other) = join(plan(), plan()).await;
    one.unwrap();
    other.unwrap();
    let ids: Vec<String> = world.chunks("run_1").await.into_iter().map(|chunk| chunk.id).collect();
    assert_eq!(ids, ["chk_1_", "chk_1_199"]);

    let totals = world.drive("run_1", Repeat::Once).await;
    assert_eq!((totals.subscriptions, totals.invoiced, totals.notified), (205, 205, 205));
    let request = PageRequest { limit: 1_000, starting_after: None, ending_before: None };
    let filter = ListFilter::default().field("billing_run", Some("run_1".to_owned()));
    let page = world.billing.store.list::<Invoice>(TENANT, filter, &request).await.unwrap().unwrap();
    assert_eq!(page.data.len(), 205);
}
