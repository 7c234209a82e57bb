//! The use cases against real servers: every boundary once, every charge once, whatever is repeated, run at once or lost.

mod books;
mod catching_up;
mod deliveries;
mod isolation;
mod mails;
mod payments;
mod pipeline;
mod runs;
mod servers;
mod world;
