//! Everything the product runs on, together: what the environment names is used, the rest is started.

use std::env;

use anyhow::Result;

use crate::data_folder::DataFolder;
use crate::mail::Mail;
use crate::mongo::{self, Mongo};
use crate::redis::{self, Redis};

const REDIS_URL: &str = "REDIS_URL";
const MONGODB_URI: &str = "MONGODB_URI";
const SMTP_URL: &str = "SMTP_URL";
const MAIL_CATCHER_URL: &str = "MAIL_CATCHER_URL";

// Names of the services' folders.
const REDIS: &str = "redis";
const MONGO: &str = "mongo";
const MAIL: &str = "mail";

/// Services that are run by somebody else, by their addresses. `default()` names none.
#[derive(Debug, Clone, Default)]
pub struct External {
    /// `redis://` or `rediss://`.
    pub redis_url: Option<String>,
    /// `mongodb://`.
    pub mongodb_uri: Option<String>,
    /// `smtp://` or `smtps://`.
    pub smtp_url: Option<String>,
    /// Where the mails sent to `smtp_url` can be read, if it is a catcher that speaks mailpit's API.
    pub mail_catcher_url: Option<String>,
}

impl External {
    /// What `REDIS_URL`, `MONGODB_URI`, `SMTP_URL` and `MAIL_CATCHER_URL` name. Empty is unset.
    pub fn from_environment() -> Self {
        let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            redis_url: named(REDIS_URL),
            mongodb_uri: named(MONGODB_URI),
            smtp_url: named(SMTP_URL),
            mail_catcher_url: named(MAIL_CATCHER_URL),
        }
    }
}

/// A running stack; what it started ends when it is dropped.
pub struct Stack {
    external: External,
    redis: Option<Redis>,
    mongo: Option<Mongo>,
    mail: Option<Mail>,
    folder: DataFolder,
}

impl Stack {
    /// Starts in `folder` what `external` does not name, installing programs that are missing.
    ///
    /// # Errors
    /// A service cannot be installed or started.
    pub fn start(folder: DataFolder, external: External) -> Result<Self> {
        let redis = match external.redis_url {
            Some(_) => None,
            None => Some(Redis::start(&folder.service(REDIS)?)?),
        };
        let mongo = match external.mongodb_uri {
            Some(_) => None,
            None => Some(Mongo::start(&folder.service(MONGO)?)?),
        };
        let mail = match external.smtp_url {
            Some(_) => None,
            None => Some(Mail::start(&folder.service(MAIL)?)?),
        };
        Ok(Self { external, redis, mongo, mail, folder })
    }

    /// The addresses as the environment variables that the product reads: `REDIS_URL`, `MONGODB_URI`, `SMTP_URL` and,
    /// where mails can be read, `MAIL_CATCHER_URL`.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let of = |own: Option<String>, external: &Option<String>| own.or_else(|| external.clone());
        let external = &self.external;
        let mail = self.mail.as_ref();
        let addresses = [
            (REDIS_URL, of(self.redis.as_ref().map(Redis::url), &external.redis_url)),
            (MONGODB_URI, of(self.mongo.as_ref().map(Mongo::uri), &external.mongodb_uri)),
            (SMTP_URL, of(mail.map(Mail::smtp_url), &external.smtp_url)),
            (MAIL_CATCHER_URL, of(mail.map(Mail::web_url), &external.mail_catcher_url)),
        ];
        addresses.into_iter().filter_map(|(name, address)| address.map(|address| (name, address))).collect()
    }

    /// The Redis that this stack started, to be stopped, killed and restarted by a test.
    pub fn redis(&mut self) -> Option<&mut Redis> {
        self.redis.as_mut()
    }

    /// The MongoDB-compatible server that this stack started.
    pub fn mongo(&mut self) -> Option<&mut Mongo> {
        self.mongo.as_mut()
    }

    /// The mail catcher that this stack started.
    pub fn mail(&mut self) -> Option<&mut Mail> {
        self.mail.as_mut()
    }

    /// The folder that holds the stack's data.
    pub fn folder(&self) -> &DataFolder {
        &self.folder
    }

    /// Ends what was started, in order: the servers write out what they hold.
    ///
    /// # Errors
    /// One of them cannot be ended; the others are all the same.
    pub fn stop(mut self) -> Result<()> {
        let redis = self.redis.as_mut().map_or(Ok(()), Redis::stop);
        let mongo = self.mongo.as_mut().map_or(Ok(()), Mongo::stop);
        redis.and(mongo)
    }
}

/// Ends what an owner of `folder` started and did not live to end.
///
/// # Errors
/// A process does not end.
pub fn end_leftovers(folder: &DataFolder) -> Result<()> {
    Redis::end_leftover(&folder.service(REDIS)?)?;
    Mongo::end_leftover(&folder.service(MONGO)?)
}

/// Installs the programs that a stack needs and `external` does not replace, before anything waits for them.
///
/// # Errors
/// One cannot be installed.
pub fn install_missing(external: &External) -> Result<()> {
    if external.redis_url.is_none() {
        redis::program()?;
    }
    if external.mongodb_uri.is_none() {
        mongo::ensure()?;
    }
    Ok(())
}
