//! Several instances of the service and several sweepers on one bucket, each stalled, killed and cut
//! off between any two of its requests, by a schedule that a seed decides.
//!
//! What runs is the real code; the records are in memory, and every request waits for the schedule.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use cidbucket_blockstore::{Block, Bytes, Error, Report, Result};
use cidbucket_layout::Keys;
use cidbucket_records::{
    Conditions, Control, KeepSetBuilder, LeaseError, LeaseId, Leases, Ledger, MemoryRecords,
    NewLease, Page, Purpose, Quota, QuotaRecord, Record, Records, State, Sweeper, Tag, Way,
};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

const START: u64 = 1_700_000_000;
const LIMIT: u64 = 10_000;
const TOKENS: [&str; 2] = ["alice", "bob"];
const INSTANCES: usize = 3;
const SWEEPERS: usize = 2;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is carried out and answered.
    Answered,
    /// It is carried out, and the answer is lost.
    Lost,
    /// It is not carried out.
    Failed,
    /// It fails, and is carried out at some time after that.
    Late,
}

/// Which faults there are.
#[derive(Debug, Clone, Copy)]
struct Faults {
    /// Percent of requests that do not go well.
    requests: u64,
    crashes: bool,
    late: bool,
    /// Longest stall, in seconds.
    stall: u64,
    /// How far clocks are off at most, in seconds.
    skew: i64,
    /// Whether blocks pass through the service too. They are charged by whole chunks where their
    /// instance crashes, or is stalled for so long that it seems to have.
    proxied: bool,
}

struct World {
    now: Arc<AtomicU64>,
    records: Arc<MemoryRecords>,
    waiting: Mutex<Vec<Waiting>>,
    activity: AtomicU64,
    /// Writes that are still under way.
    late: Mutex<Vec<Late>>,
    granted: Mutex<HashMap<LeaseId, Granted>>,
    proxied: Mutex<BTreeMap<String, u64>>,
    stopping: AtomicBool,
}

/// A lease under which grants have left.
#[derive(Debug, Clone)]
struct Granted {
    token: String,
    bytes: u64,
    is_complete: bool,
}

/// A write that is under way since then.
struct Late {
    since: u64,
    write: LateWrite,
}

struct Waiting {
    /// Instance and incarnation.
    who: (usize, u64),
    /// Whether it is a request, which can fail.
    is_request: bool,
    go: oneshot::Sender<Fate>,
}

enum LateWrite {
    Create(String, Bytes),
    Replace(String, Bytes, Tag),
    Delete(String),
}

impl World {
    async fn gate(&self, who: (usize, u64), is_request: bool) -> Fate {
        let (go, fate) = oneshot::channel();
        self.activity.fetch_add(1, Ordering::Relaxed);
        self.waiting.lock().push(Waiting {
            who,
            is_request,
            go,
        });
        match fate.await {
            Ok(fate) => {
                self.activity.fetch_add(1, Ordering::Relaxed);
                fate
            }
            // The process is gone.
            Err(_) => std::future::pending().await,
        }
    }

    /// Lets all tasks run until each waits for the schedule.
    async fn settle(&self) {
        let mut seen = (0, 0);
        while seen.1 < 12 {
            yield_now().await;
            let activity = self.activity.load(Ordering::Relaxed);
            seen = if activity == seen.0 {
                (activity, seen.1 + 1)
            } else {
                (activity, 0)
            };
        }
    }

    async fn carry_out(&self, write: LateWrite) {
        match write {
            LateWrite::Create(key, value) => {
                self.records.create(&key, value).await.unwrap();
            }
            LateWrite::Replace(key, value, tag) => {
                self.records.replace(&key, value, &tag).await.unwrap();
            }
            LateWrite::Delete(key) => self.records.delete(&key).await.unwrap(),
        }
    }
}

/// The records as one process sees them.
struct Remote {
    world: Arc<World>,
    who: (usize, u64),
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({:?})", self.who)
    }
}

fn lost() -> Error {
    Error::Unavailable(Report::new("simulate", "no answer").into())
}

impl Remote {
    async fn read<T>(&self, read: impl Future<Output = Result<T>>) -> Result<T> {
        match self.world.gate(self.who, true).await {
            Fate::Answered => read.await,
            _ => Err(lost()),
        }
    }

    async fn write<T>(&self, late: LateWrite, write: impl Future<Output = Result<T>>) -> Result<T> {
        match self.world.gate(self.who, true).await {
            Fate::Answered => write.await,
            Fate::Lost => {
                write.await?;
                Err(lost())
            }
            Fate::Failed => Err(lost()),
            Fate::Late => {
                let since = self.world.now.load(Ordering::Relaxed);
                self.world.late.lock().push(Late { since, write: late });
                Err(lost())
            }
        }
    }
}

#[async_trait]
impl Records for Remote {
    fn conditions(&self) -> Conditions {
        Conditions::ALL
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        self.read(self.world.records.get(key)).await
    }

    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>> {
        self.read(self.world.records.get_start(key, length)).await
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>> {
        let late = LateWrite::Create(key.to_owned(), value.clone());
        self.write(late, self.world.records.create(key, value))
            .await
    }

    async fn replace(&self, key: &str, value: Bytes, tag: &Tag) -> Result<Option<Tag>> {
        let late = LateWrite::Replace(key.to_owned(), value.clone(), tag.clone());
        self.write(late, self.world.records.replace(key, value, tag))
            .await
    }

    /// Nothing that is simulated writes so.
    async fn put(&self, _: &str, _: Bytes) -> Result<()> {
        unreachable!("leases and quotas are written conditionally")
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let late = LateWrite::Delete(key.to_owned());
        self.write(late, self.world.records.delete(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        self.read(self.world.records.list(prefix, after)).await
    }
}

/// A generator of numbers; the same seed gives the same ones.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// A process.
struct Process {
    incarnation: u64,
    /// Seconds that its clock is ahead.
    skew: i64,
    /// Until when it is stalled.
    stalled: u64,
    task: JoinHandle<()>,
}

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

fn clock(world: &World, skew: i64) -> Clock {
    let now = Arc::clone(&world.now);
    Arc::new(move || {
        let now = now.load(Ordering::Relaxed);
        UNIX_EPOCH + Duration::from_secs(now.saturating_add_signed(skew))
    })
}

fn control() -> Control {
    Control::new(&Keys::new("p".parse().unwrap(), "kubo".parse().unwrap()))
}

fn quota() -> Quota {
    Quota {
        total: Some(LIMIT),
        window: None,
    }
}

fn serve(world: &Arc<World>, who: (usize, u64), skew: i64, proxied: bool, seed: u64) -> Process {
    let records: Arc<dyn Records> = Arc::new(Remote {
        world: Arc::clone(world),
        who,
    });
    let clock = clock(world, skew);
    let ledger = Ledger::new(
        Arc::clone(&records),
        control(),
        Arc::clone(&clock),
        format!("{who:?}"),
    );
    let leases = Leases::new(records, control(), Arc::clone(&clock));
    let task = tokio::spawn(work(
        Arc::clone(world),
        who,
        ledger,
        leases,
        clock,
        Random(seed | 1),
        proxied,
    ));
    Process {
        incarnation: who.1,
        skew,
        stalled: 0,
        task,
    }
}

/// What the service does all day.
async fn work(
    world: Arc<World>,
    who: (usize, u64),
    ledger: Ledger,
    leases: Leases,
    clock: Clock,
    mut random: Random,
    proxied: bool,
) {
    let mut open: Vec<(LeaseId, &str)> = Vec::new();
    loop {
        world.gate(who, false).await;
        if world.stopping.load(Ordering::Relaxed) {
            while ledger.close().await.is_err() {}
            return;
        }
        let token = TOKENS[usize::from(random.percent(30))];
        let bytes = 1 + random.below(700);
        match random.below(10) {
            0..5 => {
                let reserved = ledger.reserve(token, &quota(), bytes, Purpose::Lease).await;
                let Ok(mut reservation) = reserved else {
                    continue;
                };
                world.gate(who, false).await;
                if random.percent(20) {
                    reservation.give_back(bytes / 2);
                }
                if random.percent(10) {
                    continue;
                }
                let bytes = reservation.bytes();
                let mut keep = KeepSetBuilder::default();
                keep.push(Block::raw("x").cid(), bytes, Way::Direct);
                let now = clock().duration_since(UNIX_EPOCH).unwrap().as_secs();
                let new = NewLease {
                    token: token.to_owned(),
                    tenant: None,
                    expires: now + 60 + random.below(1_800),
                    keep: keep.finish(),
                };
                match leases.open(new, Some(reservation)).await {
                    Ok(lease) => {
                        // The grants leave.
                        let granted = Granted {
                            token: token.to_owned(),
                            bytes,
                            is_complete: false,
                        };
                        world.granted.lock().insert(lease.id, granted);
                        open.push((lease.id, token));
                    }
                    Err(LeaseError::Late | LeaseError::Store(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            5..7 if proxied => {
                let reserved = ledger
                    .reserve(token, &quota(), bytes, Purpose::Proxied)
                    .await;
                if let Ok(reservation) = reserved {
                    world.gate(who, false).await;
                    if random.percent(80) {
                        // The block is put.
                        *world.proxied.lock().entry(token.to_owned()).or_default() += bytes;
                        reservation.keep();
                    }
                }
            }
            7..9 => {
                if !open.is_empty() {
                    let index = usize::try_from(random.below(open.len() as u64)).unwrap();
                    let (id, token) = open.swap_remove(index);
                    if let Ok((head, _)) = leases.head(&id, token, None).await {
                        assert_eq!(head.token, token);
                        world.gate(who, false).await;
                        let _ = leases.complete(&id).await;
                    }
                }
            }
            _ => {
                let _ = ledger.tidy().await;
            }
        }
    }
}

fn sweep(world: &Arc<World>, who: (usize, u64), skew: i64, limit: usize) -> Process {
    let records: Arc<dyn Records> = Arc::new(Remote {
        world: Arc::clone(world),
        who,
    });
    let clock = clock(world, skew);
    let sweeper = Sweeper::new(records, control(), Arc::clone(&clock)).with_limit(limit);
    let gate = Arc::clone(world);
    let task = tokio::spawn(async move {
        loop {
            gate.gate(who, false).await;
            sweeper.sweep(clock()).await;
        }
    });
    Process {
        incarnation: who.1,
        skew,
        stalled: 0,
        task,
    }
}

/// What each token has used in truth: what was granted and did not expire, and what passed through.
async fn truth(world: &World) -> BTreeMap<String, u64> {
    // By a clock that stands at 1970 no lease is over but those that ended.
    let clock: Clock = Arc::new(|| UNIX_EPOCH);
    let records = Arc::clone(&world.records) as Arc<dyn Records>;
    let leases = Leases::new(records, control(), clock);
    let mut truth = world.proxied.lock().clone();
    let granted = world.granted.lock().clone();
    for (id, lease) in granted {
        // For good, also when its record is removed after a day.
        let state = if lease.is_complete {
            Ok(State::Complete)
        } else {
            let found = leases.head(&id, &lease.token, None).await;
            found.map(|(_, state)| state)
        };
        match state {
            Ok(state) => {
                *truth.entry(lease.token).or_default() += lease.bytes;
                let mut granted = world.granted.lock();
                granted.get_mut(&id).unwrap().is_complete = state == State::Complete;
            }
            Err(LeaseError::NoSuchLease) => {
                world.granted.lock().remove(&id);
            }
            Err(error) => panic!("{error}"),
        }
    }
    truth
}

async fn look(world: &World, token: &str) -> Option<QuotaRecord> {
    let records = Arc::clone(&world.records) as Arc<dyn Records>;
    let ledger = Ledger::new(records, control(), Arc::new(|| UNIX_EPOCH), "test");
    ledger.look(token).await.unwrap()
}

/// What a run came to, so that runs that prove nothing are noticed.
#[derive(Debug, Default)]
struct Totals {
    granted: usize,
    complete: usize,
    exceeded_truth: u64,
    crashes: u64,
    stalls: u64,
    faults: u64,
}

struct Run {
    world: Arc<World>,
    processes: Vec<Process>,
    random: Random,
    faults: Faults,
    totals: Totals,
}

impl Run {
    fn new(seed: u64, faults: Faults) -> Self {
        let now = Arc::new(AtomicU64::new(START));
        let server = Arc::clone(&now);
        let records = MemoryRecords::with_clock(Arc::new(move || {
            UNIX_EPOCH + Duration::from_secs(server.load(Ordering::Relaxed))
        }));
        let world = Arc::new(World {
            now,
            records: Arc::new(records),
            waiting: Mutex::default(),
            activity: AtomicU64::default(),
            late: Mutex::default(),
            granted: Mutex::default(),
            proxied: Mutex::default(),
            stopping: AtomicBool::default(),
        });
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut run = Self {
            world,
            processes: Vec::new(),
            faults,
            totals: Totals::default(),
            random: Random(random.next() | 1),
        };
        for index in 0..INSTANCES + SWEEPERS {
            let skew = run.skew();
            let process = run.start(index, 0, skew);
            run.processes.push(process);
        }
        run
    }

    fn skew(&mut self) -> i64 {
        let span = self.faults.skew.unsigned_abs();
        i64::try_from(self.random.below(2 * span + 1)).unwrap() - self.faults.skew
    }

    fn start(&mut self, index: usize, incarnation: u64, skew: i64) -> Process {
        let who = (index, incarnation);
        if index < INSTANCES {
            serve(
                &self.world,
                who,
                skew,
                self.faults.proxied,
                self.random.next(),
            )
        } else {
            sweep(
                &self.world,
                who,
                skew,
                if index == INSTANCES { 10_000 } else { 3 },
            )
        }
    }

    fn now(&self) -> u64 {
        self.world.now.load(Ordering::Relaxed)
    }

    /// Time passes. No write is under way for longer than S3 takes a signature for.
    async fn advance(&mut self, seconds: u64) {
        let then = self.now() + seconds;
        loop {
            let next = {
                let mut late = self.world.late.lock();
                let due = late
                    .iter()
                    .position(|write| write.since + 900 <= then || self.random.percent(5));
                due.map(|index| late.swap_remove(index))
            };
            match next {
                Some(late) => {
                    let at = (late.since + self.random.below(900)).clamp(self.now(), then);
                    self.world.now.store(at, Ordering::Relaxed);
                    self.world.carry_out(late.write).await;
                }
                None => break,
            }
        }
        self.world.now.store(then, Ordering::Relaxed);
    }

    /// Lets one process make one step; `false` where all are stalled.
    async fn step(&mut self, may_fail: bool) -> bool {
        self.world.settle().await;
        let now = self.now();
        let next = {
            let mut waiting = self.world.waiting.lock();
            let able: Vec<usize> = (0..waiting.len())
                .filter(|&index| {
                    let process = &self.processes[waiting[index].who.0];
                    process.stalled <= now
                })
                .collect();
            if able.is_empty() {
                return false;
            }
            let index = able[usize::try_from(self.random.below(able.len() as u64)).unwrap()];
            waiting.swap_remove(index)
        };
        let fate = if may_fail && next.is_request && self.random.percent(self.faults.requests) {
            self.totals.faults += 1;
            match self.random.below(if self.faults.late { 3 } else { 2 }) {
                0 => Fate::Lost,
                1 => Fate::Failed,
                _ => Fate::Late,
            }
        } else {
            Fate::Answered
        };
        let _ = next.go.send(fate);
        self.world.settle().await;
        true
    }

    async fn check(&mut self, seed: u64) {
        let truth = truth(&self.world).await;
        for token in TOKENS {
            let used = truth.get(token).copied().unwrap_or(0);
            let record = look(&self.world, token).await;
            let consumed = record.as_ref().map_or(0, QuotaRecord::consumed);
            assert!(
                consumed <= LIMIT && used <= consumed,
                "seed {seed}: {token} used {used}, counted are {consumed} of {LIMIT}: {record:?}"
            );
            self.totals.exceeded_truth = self.totals.exceeded_truth.max(consumed - used);
        }
    }

    async fn trouble(&mut self) {
        let some = usize::try_from(self.random.below(self.processes.len() as u64)).unwrap();
        if self.faults.stall > 0 && self.random.below(1_000) < 15 {
            self.totals.stalls += 1;
            self.processes[some].stalled = self.now() + self.random.below(self.faults.stall);
        }
        if self.faults.crashes && self.random.below(1_000) < 5 {
            self.totals.crashes += 1;
            let process = &self.processes[some];
            process.task.abort();
            let (incarnation, skew) = (process.incarnation + 1, process.skew);
            self.world
                .waiting
                .lock()
                .retain(|waiting| waiting.who.0 != some);
            self.processes[some] = self.start(some, incarnation, skew);
        }
        let seconds = match self.random.below(1_000) {
            0..300 => 0,
            _ if self.faults.stall == 0 => self.random.below(5),
            300..980 => self.random.below(20),
            980..997 => self.random.below(900),
            _ => self.random.below(3 * 3_600),
        };
        self.advance(seconds).await;
    }

    async fn run(mut self, seed: u64, steps: u64) -> Totals {
        for _ in 0..steps {
            if !self.step(true).await {
                self.advance(60).await;
            }
            self.check(seed).await;
            self.trouble().await;
        }
        {
            let granted = self.world.granted.lock();
            self.totals.granted = granted.len();
            self.totals.complete = granted.values().filter(|lease| lease.is_complete).count();
        }
        self.wind_up(seed).await;
        self.totals
    }

    /// All come to an end in peace, and time passes. What was not used is there again.
    async fn wind_up(&mut self, seed: u64) {
        self.world.stopping.store(true, Ordering::Relaxed);
        for process in &mut self.processes {
            process.stalled = 0;
        }
        while !self.processes[..INSTANCES]
            .iter()
            .all(|process| process.task.is_finished())
        {
            assert!(self.step(false).await, "seed {seed}: nobody can go on");
            self.check(seed).await;
        }
        let mut rounds = 0;
        while !self.is_settled().await {
            rounds += 1;
            assert!(rounds < 100, "seed {seed}: something is never cleaned up");
            self.advance(2 * 3_600).await;
            for _ in 0..200 {
                self.step(false).await;
            }
            self.check(seed).await;
        }
        self.check(seed).await;
        let truth = truth(&self.world).await;
        for token in TOKENS {
            let Some(record) = look(&self.world, token).await else {
                continue;
            };
            let used = truth.get(token).copied().unwrap_or(0);
            if !self.faults.crashes {
                assert_eq!(record.consumed(), used, "seed {seed}: {record:?}");
            }
        }
    }

    /// Whether no lease and no chunk is left.
    async fn is_settled(&self) -> bool {
        let leases = self.world.records.list("p/.cidbucket/leases/", None).await;
        let mut settled = leases.unwrap().entries.is_empty();
        for token in TOKENS {
            let record = look(&self.world, token).await;
            settled &= record.is_none_or(|record| record.chunks.is_empty());
        }
        settled
    }
}

async fn simulate(faults: Faults, seeds: std::ops::Range<u64>, steps: u64) {
    let mut all = Totals::default();
    for seed in seeds {
        let totals = Run::new(seed, faults).run(seed, steps).await;
        all.granted += totals.granted;
        all.complete += totals.complete;
        all.exceeded_truth = all.exceeded_truth.max(totals.exceeded_truth);
        all.crashes += totals.crashes;
        all.stalls += totals.stalls;
        all.faults += totals.faults;
    }
    println!("{faults:?}: {all:?}");
    assert!(all.granted > 20 && all.complete > 5, "{all:?}");
    assert_eq!(all.crashes > 0, faults.crashes, "{all:?}");
    assert_eq!(all.faults > 0, faults.requests > 0, "{all:?}");
}

#[tokio::test]
async fn everything_comes_back_where_nothing_fails() {
    let faults = Faults {
        requests: 0,
        crashes: false,
        late: false,
        stall: 0,
        skew: 0,
        proxied: true,
    };
    simulate(faults, 0..10, 1_500).await;
}

#[tokio::test]
async fn everything_comes_back_after_lost_answers() {
    let faults = Faults {
        requests: 5,
        crashes: false,
        late: false,
        stall: 0,
        skew: 100,
        proxied: true,
    };
    simulate(faults, 100..110, 1_500).await;
}

#[tokio::test]
async fn everything_comes_back_after_long_stalls() {
    let faults = Faults {
        requests: 0,
        crashes: false,
        late: false,
        stall: 3 * 3_600,
        skew: 890,
        proxied: false,
    };
    simulate(faults, 200..215, 1_000).await;
}

#[tokio::test]
async fn nothing_is_counted_short_or_beyond_the_limit_whoever_crashes() {
    let faults = Faults {
        requests: 8,
        crashes: true,
        late: true,
        stall: 3 * 3_600,
        skew: 890,
        proxied: true,
    };
    simulate(faults, 300..330, 1_000).await;
}
