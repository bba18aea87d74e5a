use super::entry::{Entry, OWN};
use super::key::{AsItIs, Key, Target};
use super::value::Stale;
use bartizan_http::http::HeaderMap;
use quick_cache::unsync::Cache;
use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The answers that are kept, within bounds of their number and of their bytes that hold at all times.
///
/// Both are one bound: an answer weighs what it takes, and at least the share of one entry. The lock is held for a look-up. What is taken
/// out is dropped after it: with an answer goes the error of a call that has failed, and that is somebody else's.
pub(crate) struct Store(Mutex<Inner>);

struct Inner {
    bounds: Bounds,
    /// Made when it is first needed.
    cache: Option<Answers>,
    /// How often something was taken out, by buckets of keys: what was asked for before is not put in after.
    taken: [u32; BUCKETS],
}

type Answers = Cache<Key, Arc<Variants>, ByWeight, AsItIs, HandOut>;

/// So many that writes to other targets seldom meet.
const BUCKETS: usize = 1024;
/// So few entries that the share of one is more than what is left to those that were never asked for again.
const FEW: usize = 50;
/// Answers to one target that differ by what they vary on. Further ones take the place of the oldest.
const VARIANTS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    entries: usize,
    bytes: usize,
}

/// The answers to one target, the newest last.
struct Variants {
    entries: Vec<Arc<Entry>>,
    weight: u64,
}

#[derive(Clone, Copy, Debug)]
struct ByWeight;

impl Weighter<Key, Arc<Variants>> for ByWeight {
    fn weight(&self, _: &Key, variants: &Arc<Variants>) -> u64 {
        variants.weight
    }
}

/// Hands out what is pushed out.
#[derive(Clone, Copy, Debug)]
struct HandOut;

type Out = Vec<Arc<Variants>>;

/// What new bounds have pushed out. Whose errors go with it may come back: it is dropped after all locks.
#[must_use]
#[derive(Default)]
pub(crate) struct PushedOut {
    _out: Out,
    _old: Option<Answers>,
}

impl Lifecycle<Key, Arc<Variants>> for HandOut {
    type RequestState = Out;

    fn on_evict(&self, out: &mut Out, _: Key, variants: Arc<Variants>) {
        out.push(variants);
    }
}

/// What was there when a call went out, so that its answer is not kept if it was outdated meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

impl Bounds {
    const fn of(value: &Stale) -> Self {
        Self { entries: value.max_entries, bytes: value.max_bytes }
    }

    fn weight(self, entry: &Entry) -> u64 {
        entry.weight().max(self.bytes.div_ceil(self.entries.max(1))) as u64
    }

    fn cache(self) -> Answers {
        let capacity = if self.entries == 0 { 0 } else { self.bytes as u64 };
        let options = OptionsBuilder::new()
            // It remembers that many keys of what was pushed out, which are not weighed: no more than answers find room.
            .estimated_items_capacity(self.entries.min(self.bytes / OWN))
            .weight_capacity(capacity)
            // An answer that is alone may take all the room.
            .hot_allocation(if self.entries < FEW { 1.0 } else { 0.97 })
            .shards(1)
            .build()
            .expect("both capacities are set");
        Cache::with_options(options, ByWeight, AsItIs::default(), HandOut)
    }
}

impl Inner {
    fn cache(&mut self) -> &mut Answers {
        let bounds = self.bounds;
        self.cache.get_or_insert_with(|| bounds.cache())
    }

    /// Puts answers to a target in place of those that are there.
    fn put(&mut self, key: Key, mut entries: Vec<Arc<Entry>>, out: &mut Out) {
        let bounds = self.bounds;
        let mut weight: u64 = entries.iter().map(|entry| bounds.weight(entry)).sum();
        while entries.len() > 1 && weight > bounds.bytes as u64 {
            weight -= bounds.weight(&entries[0]);
            let oldest = vec![entries.remove(0)];
            out.push(Arc::new(Variants { entries: oldest, weight: 0 }));
        }
        self.cache().insert_with_lifecycle(key, Arc::new(Variants { entries, weight }), out);
    }

    fn peek(&self, key: &Key) -> Option<Arc<Variants>> {
        self.cache.as_ref()?.peek(key).cloned()
    }

    /// Has it be known that something was taken out.
    fn count(&mut self, bucket: usize) {
        self.taken[bucket] = self.taken[bucket].wrapping_add(1);
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Variants>> {
        self.cache.as_mut()?.remove(key).map(|(_, variants)| variants)
    }
}

impl Store {
    pub(crate) fn new(value: &Stale) -> Self {
        Self(Mutex::new(Inner { bounds: Bounds::of(value), cache: None, taken: [0; BUCKETS] }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answers to a target, and what is remembered of now.
    fn look(&self, key: &Key) -> (Option<Arc<Variants>>, Epoch) {
        let inner = &mut *self.lock();
        let variants = inner.cache.as_ref().and_then(|cache| cache.get(key).cloned());
        (variants, Epoch(inner.taken[key.bucket(BUCKETS)]))
    }

    /// The newest answer to such a request.
    pub(crate) fn get(&self, key: &Key, request: &HeaderMap) -> (Option<Arc<Entry>>, Epoch) {
        let (variants, epoch) = self.look(key);
        let entry = variants
            .and_then(|variants| variants.entries.iter().rev().find(|entry| entry.is_for(request)).cloned());
        (entry, epoch)
    }

    /// A number that is the same for requests to a target that have the same answer, by what its last answer varied on.
    pub(crate) fn variant(&self, key: &Key, request: &HeaderMap) -> u64 {
        let (variants, _) = self.look(key);
        let newest = variants.as_ref().and_then(|variants| variants.entries.last());
        newest.map_or(0, |newest| newest.variant(request))
    }

    /// Whether nothing was outdated since the epoch.
    pub(crate) fn is_current(&self, key: &Key, epoch: Epoch) -> bool {
        self.lock().taken[key.bucket(BUCKETS)] == epoch.0
    }

    /// Keeps an answer, in place of one to the same requests. False if its target was outdated since the epoch.
    pub(crate) fn put(&self, key: Key, epoch: Epoch, entry: Arc<Entry>) -> bool {
        let mut out = Out::new();
        let mut inner = self.lock();
        if inner.taken[key.bucket(BUCKETS)] != epoch.0 {
            return false;
        }
        out.extend(inner.peek(&key));
        let known = out.first().map_or(&[][..], |known| &known.entries);
        let mut entries: Vec<_> = known.iter().filter(|known| !known.replaces(&entry)).cloned().collect();
        if entries.len() == VARIANTS {
            entries.remove(0);
        }
        entries.push(entry);
        inner.put(key, entries, &mut out);
        drop(inner);
        true
    }

    /// Takes out one answer.
    pub(crate) fn take(&self, key: &Key, entry: &Entry) {
        let mut out = Out::new();
        let mut inner = self.lock();
        let Some(known) = inner.peek(key) else { return };
        let others: Vec<_> = known.entries.iter().filter(|known| !known.replaces(entry)).cloned().collect();
        if others.is_empty() {
            out.extend(inner.remove(key));
        } else {
            inner.put(*key, others, &mut out);
        }
        drop(inner);
    }

    /// Takes out all answers of both methods to a key, by any scheme.
    pub(crate) fn outdate(&self, key: &Key) {
        let mut inner = self.lock();
        inner.count(key.bucket(BUCKETS));
        let mut out: [_; 8] = Default::default();
        for (slot, key) in out.iter_mut().zip(key.siblings()) {
            *slot = inner.remove(&key);
        }
        drop(inner);
        drop(out);
    }

    /// Takes out all answers to a target, whatever else their keys have. It looks at all keys.
    pub(crate) fn forget(&self, target: &Target) {
        let mut inner = self.lock();
        inner.count(target.bucket(BUCKETS));
        let keys = inner.cache.iter().flat_map(Cache::iter).map(|(key, _)| *key);
        let keys: Vec<Key> = keys.filter(|key| key.has_target(target)).collect();
        let out: Vec<_> = keys.iter().map(|key| inner.remove(key)).collect();
        drop(inner);
        drop(out);
    }

    /// Takes out everything.
    pub(crate) fn purge(&self) {
        let mut inner = self.lock();
        (0..BUCKETS).for_each(|bucket| inner.count(bucket));
        let out = inner.cache.take();
        drop(inner);
        drop(out);
    }

    /// Sets new bounds. What does not fit any more goes, with what is returned.
    pub(crate) fn update(&self, value: &Stale) -> PushedOut {
        let mut out = Out::new();
        let mut inner = self.lock();
        let bounds = Bounds::of(value);
        if inner.bounds == bounds {
            return PushedOut::default();
        }
        inner.bounds = bounds;
        let old = inner.cache.take();
        for (key, variants) in old.iter().flat_map(Cache::iter) {
            inner.put(*key, variants.entries.clone(), &mut out);
        }
        PushedOut { _out: out, _old: old }
    }

    /// How many answers are kept, and how many bytes they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        let entries = inner.cache.iter().flat_map(Cache::iter).flat_map(|(_, variants)| &variants.entries);
        entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.weight()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, bytes) = self.size();
        f.debug_struct("Store").field("entries", &entries).field("bytes", &bytes).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::age::Times;
    use super::super::entry::Kept;
    use super::super::key::Keys;
    use super::*;
    use bartizan_core::Instant;
    use bartizan_http::Head;
    use bartizan_http::http::{HeaderName, HeaderValue, Request, Response};
    use std::time::Duration;

    fn key(keys: &Keys, path: &str) -> Key {
        keys.key(&Head::of(&Request::builder().uri(path).body(()).unwrap()))
    }

    fn map(fields: &[(&'static str, String)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, String)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn entry(fields: &[(&'static str, String)], request: &HeaderMap, body: usize) -> Arc<Entry> {
        let mut head = Response::new(()).into_parts().0;
        head.headers = map(fields);
        let now = Instant::now();
        let times = Times { sent: now, received: now, wall: Duration::ZERO };
        Arc::new(Kept::new(&head, request, &times).unwrap().with(vec![b'x'; body].into()))
    }

    #[test]
    fn a_flood_stays_within_both_bounds() {
        let keys = Keys::default();
        for (entries, bytes) in
            [(10, 1 << 20), (1000, 100_000), (1, 1 << 20), (50, 100_000), (0, 1 << 20), (10, 0)]
        {
            let store = Store::new(&Stale::new().max_entries(entries).max_bytes(bytes));
            for n in 0..3000_usize {
                let fields = [("x-big", "a".repeat(n % 5000)), ("vary", "x-lang".to_owned())];
                let request = map(&[("x-lang", n.to_string())]);
                let key = key(&keys, &format!("/{}", n / 3));
                let (_, epoch) = store.get(&key, &request);
                assert!(store.put(key, epoch, entry(&fields, &request, n % 3000)));
                let (count, size) = store.size();
                assert!(count <= entries && size <= bytes, "{count} of {entries}, {size} of {bytes}");
            }
            assert_eq!(store.size().0 == 0, entries == 0 || bytes == 0);
        }
    }

    #[test]
    fn keys_of_what_was_pushed_out_take_no_room() {
        let (keys, none) = (Keys::default(), HeaderMap::new());
        let taken = allocation_counter::measure(|| {
            let store = Store::new(&Stale::new().max_entries(usize::MAX).max_bytes(100_000));
            for n in 0..20_000 {
                let key = key(&keys, &format!("/{n}"));
                store.put(key, store.get(&key, &none).1, entry(&[], &none, 1));
            }
        });
        assert!(taken.bytes_max < 400_000, "{}", taken.bytes_max);
    }

    #[test]
    fn variants_of_one_target_are_few() {
        let (keys, store) = (Keys::default(), Store::new(&Stale::new()));
        let key = key(&keys, "/");
        let language = |n: usize| map(&[("accept-language", n.to_string())]);
        for n in (0..100).chain([99, 99]) {
            let vary = entry(&[("vary", "accept-language".to_owned())], &language(n), 1);
            let (_, epoch) = store.get(&key, &language(n));
            store.put(key, epoch, vary);
        }
        assert_eq!(store.size().0, VARIANTS);
        assert!(store.get(&key, &language(99)).0.is_some() && store.get(&key, &language(92)).0.is_some());
        assert!(store.get(&key, &language(91)).0.is_none() && store.get(&key, &HeaderMap::new()).0.is_none());
        let newest = store.get(&key, &language(99)).0.unwrap();
        store.take(&key, &newest);
        assert_eq!((store.size().0, store.get(&key, &language(99)).0.is_none()), (VARIANTS - 1, true));
    }

    #[test]
    fn what_was_outdated_under_way_is_not_kept() {
        let (mut keys, none) = (Keys::default(), HeaderMap::new());
        keys.add(|head| head.headers.len());
        let store = Store::new(&Stale::new());
        let key = key(&keys, "http://h/a?b");
        let outdates: [&dyn Fn(&Store); 4] = [
            &|store| store.outdate(&key),
            &|store| key.siblings().for_each(|key| store.outdate(&key)),
            &|store| store.forget(&keys.target(&"/a?b".parse().unwrap())),
            &Store::purge,
        ];
        for outdate in outdates {
            let (_, epoch) = store.get(&key, &none);
            assert!(store.put(key, epoch, entry(&[], &none, 1)));
            assert!(store.get(&key, &none).0.is_some());
            outdate(&store);
            assert!(store.get(&key, &none).0.is_none());
            assert!(!store.put(key, epoch, entry(&[], &none, 1)));
        }
        assert_eq!(store.size(), (0, 0));
    }

    #[test]
    fn new_bounds_let_go_of_what_does_not_fit() {
        let (keys, none) = (Keys::default(), HeaderMap::new());
        let store = Store::new(&Stale::new());
        for n in 0..100 {
            let key = key(&keys, &format!("/{n}"));
            let (_, epoch) = store.get(&key, &none);
            store.put(key, epoch, entry(&[], &none, 10));
        }
        assert_eq!(store.size().0, 100);
        drop(store.update(&Stale::new().max_entries(30)));
        assert!((1..=30).contains(&store.size().0));
        drop(store.update(&Stale::new().max_bytes(0)));
        assert_eq!(store.size(), (0, 0));
    }
}
