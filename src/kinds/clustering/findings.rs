//! What is told and stops nothing: settings of a host with which the cluster hangs, or fences, where that need not be.

use super::*;

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
        let slowest = o2cb.patience.iter().max().filter(|(seconds, _)| *seconds > dead);
        let (what, threshold) = match (o2cb.queues.first(), slowest) {
            (_, Some((seconds, what))) => (format!("{what} is {seconds} s"), Some(seconds.div_ceil(2) + 1)),
            (Some(map), None) => (format!("the multipath map {map} waits without end (queue_if_no_path)"), None),
            (None, None) => return None,
        };
        let cure = match threshold {
            Some(threshold) => format!(
                "Nothing has to be accepted. Set heartbeat_threshold = {threshold} while the cluster is offline, or let the storage give up sooner."
            ),
            None => "Nothing has to be accepted. Set no_path_retry in multipath.conf to less than that.".to_owned(),
        };
        Some(self.hazard(
            HazardCode::FencingRisk,
            format!("{} is reset {dead} s after its heartbeat stops (heartbeat_threshold {}), and {what}: a fault of a path that would pass by resets the host", self.host, self.wanted.threshold),
            cure,
        ))
    }
}
