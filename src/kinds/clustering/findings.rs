//! What is told and stops nothing: settings of a host with which the cluster hangs, or fences, where that need not be.

use super::*;

/// The largest `heartbeat_threshold` that is worth a word: with more, a dead node holds up the others for hours.
const LONGEST: u64 = 3600;

impl Look<'_> {
    pub(super) fn findings(&self) -> Vec<Hazard> {
        self.panics().into_iter().chain(self.impatience()).collect()
    }

    /// o2cb(7) wants a host with a broken kernel to reset itself: the others wait for it otherwise.
    fn panics(&self) -> Option<Hazard> {
        let o2cb = &self.said.o2cb;
        let mut missing = Vec::new();
        if o2cb.panic_on_oops.is_some_and(|value| value == 0) {
            missing.push("kernel.panic_on_oops = 1 (it is 0)".to_owned());
        }
        if o2cb.panic.is_some_and(|value| value == 0) {
            missing.push("kernel.panic = 30 (it is 0)".to_owned());
        }
        (!missing.is_empty()).then(|| {
            self.hazard(
                HazardCode::FencingRisk,
                format!("o2cb(7) wants {} on {}: a node whose kernel is broken holds up all others otherwise", missing.join(" and "), self.host),
                "Nothing has to be accepted. Write it into a file of /etc/sysctl.d, if hosts of yours are to restart then.",
            )
        })
    }

    /// A node writes its heartbeat to the storage: where that may be silent for longer than the node may be, it is fenced first.
    fn impatience(&self) -> Option<Hazard> {
        let dead = self.wanted.dead_after();
        let o2cb = &self.said.o2cb;
        let endless = o2cb.patience.iter().find(|(seconds, _)| seconds.is_none());
        let slowest = o2cb.patience.iter().filter_map(|(seconds, what)| Some(((*seconds)?, what))).max();
        let slowest = slowest.filter(|(seconds, _)| *seconds > dead);
        let sooner = "Nothing has to be accepted. Let the storage give up sooner.";
        let (what, cure) = match (endless, slowest, o2cb.queues.first()) {
            (Some((_, what)), ..) => (format!("{what} has no end"), sooner.to_owned()),
            (None, Some((seconds, what)), _) => {
                let cure = match seconds.div_ceil(2).saturating_add(1) {
                    threshold @ ..=LONGEST => format!(
                        "Nothing has to be accepted. Set heartbeat_threshold = {threshold} while the cluster is offline, or let the storage give up sooner."
                    ),
                    _ => sooner.to_owned(),
                };
                (format!("{what} is {seconds} s"), cure)
            }
            (None, None, Some(map)) => (
                format!("the multipath map {map} may wait without end (queue_if_no_path)"),
                "Nothing has to be accepted. Set no_path_retry in multipath.conf to less than that.".to_owned(),
            ),
            (None, None, None) => return None,
        };
        Some(self.hazard(
            HazardCode::FencingRisk,
            format!("{} is reset {dead} s after its heartbeat stops (heartbeat_threshold {}), and {what}: a fault of a path that would pass by resets the host", self.host, self.wanted.threshold),
            cure,
        ))
    }
}
