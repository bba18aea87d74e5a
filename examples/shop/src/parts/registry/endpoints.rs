use super::super::config::{Config, Name};
use super::PATIENCE;
use super::known::Known;
use bartizan::core::{Change, Member};
use bartizan::discover::{Consul, Error};
use futures_core::Stream;
use http::Uri;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// How long the registry is asked to wait for news.
const WAIT: Duration = Duration::from_secs(30);

/// The replicas of a service: at once those that were known last, or that the configuration has, and then as the
/// registry knows them. It does not end, and an error changes nothing.
#[derive(Debug)]
pub struct Endpoints {
    first: Option<Vec<Member<Uri>>>,
    /// None: there is nothing else to be told.
    registry: Option<(Consul, Known)>,
}

impl Config {
    /// Where the replicas of a service are, for a balancer. Who has `<SERVICE>_URL` asks nobody else.
    pub fn endpoints(&self, service: Name) -> Endpoints {
        let registry = self.registry.as_ref().filter(|_| !self.is_named(service));
        let mut registry = registry.and_then(|url| {
            let consul = Consul::try_new(url.as_str(), service.as_str()).ok()?.scheme(self.tls.scheme());
            let consul = match self.tls.each() {
                Some(client) => consul.client(client),
                None => consul,
            };
            Some((consul.wait(WAIT).time_out(PATIENCE), Known::new(&self.data_dir, url, service)))
        });
        let known = registry.as_mut().and_then(|(_, known)| known.read());
        let configured =
            || self.urls(service).iter().filter_map(|url| url.parse().ok()).map(Member::new).collect();
        Endpoints { first: Some(known.unwrap_or_else(configured)), registry }
    }
}

impl Stream for Endpoints {
    type Item = Result<Change<Uri>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Change::Set(first))));
        }
        let Some((consul, known)) = &mut self.registry else { return Poll::Pending };
        let Some(told) = ready!(Pin::new(consul).poll_next(cx)) else {
            self.registry = None;
            return Poll::Pending;
        };
        if let Ok(Change::Set(members)) = &told {
            known.keep(members);
        }
        Poll::Ready(Some(told))
    }
}
