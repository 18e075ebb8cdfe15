//! What the host tells of itself.

/// The host's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// `fluentbit_input_records_total`: records taken out of the ring buffer.
    pub(crate) records: u64,
    /// `fluentbit_input_bytes_total`: their bytes.
    pub(crate) bytes: Option<u64>,
    /// `fluentbit_input_ring_buffer_writes_total` (4.1+): batches put into the ring buffer.
    pub(crate) writes: Option<u64>,
    /// When the engine last set `fluentbit_input_storage_chunks`.
    pub(crate) pulse: Option<u64>,
    /// `fluentbit_input_storage_chunks_up`, and when the engine last set it.
    pub(crate) chunks_up: Option<(u64, u64)>,
    /// Whether the engine was seen to wait for events after all that was read, if it can be seen.
    pub(crate) waiting: Option<bool>,
}
