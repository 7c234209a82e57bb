//! The use cases against real servers: every boundary once, every charge once, whatever is repeated, run at once or lost; and
//! every dead letter kept until a person has decided.

mod audit;
mod books;
mod catching_up;
mod clocks;
mod dead_letters;
mod deliveries;
mod dunning;
mod events;
mod fleet;
mod gateway_events;
mod isolation;
mod killed;
mod late_usage;
mod mails;
mod money;
mod operations;
mod payloads;
mod payments;
mod pipeline;
mod refunds;
mod runs;
mod servers;
mod steering;
mod stories;
mod webhooks;
mod world;
