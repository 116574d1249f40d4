//! How QUIC is set for calls: small buffers, no surprises in packet sizes, few streams.

use crate::relay::shim;
use crate::window::Windows;
use quinn::{AckFrequencyConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use std::sync::Arc;
use std::time::Duration;

/// Datagrams wait in Kring's own queue, which knows what is urgent; here just enough to keep the socket busy.
const DATAGRAM_SEND_BUFFER: usize = 4 << 10;
/// Enough for one large keyframe while the reader is held up.
const DATAGRAM_RECEIVE_BUFFER: usize = 512 << 10;

/// QUIC's acknowledgements ride on media; only where none goes the other way they are sent by themselves, and then so late.
/// (By default every second packet is acknowledged at once, which is some 50 kbit/s beside a picture.)
const ACK_DELAY: Duration = Duration::from_millis(100);
const ACK_THRESHOLD: u32 = 60;

/// What every path of IPv6 carries (1,280 B less headers), and with it all of IPv4's that matter. With 1,200 B the callee's
/// ServerHello would need two packets, and whatever travels with the second would have to be filled up.
pub(crate) const MTU: u16 = 1232;
/// The same where a relay's header comes on top.
pub(crate) const RELAYED_MTU: u16 = MTU - shim::HEADER as u16;

/// `streams` is how many the other side may open.
pub(crate) fn config(idle_timeout: Duration, streams: u32, mtu: u16) -> Option<TransportConfig> {
    let mut acknowledge = AckFrequencyConfig::default();
    acknowledge
        .max_ack_delay(Some(ACK_DELAY))
        .ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD))
        .reordering_threshold(VarInt::from_u32(ACK_THRESHOLD));
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(IdleTimeout::try_from(idle_timeout).ok()?))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(128 << 10))
        .receive_window(VarInt::from_u32(256 << 10))
        .send_window(256 << 10)
        .datagram_send_buffer_size(DATAGRAM_SEND_BUFFER)
        .datagram_receive_buffer_size(Some(DATAGRAM_RECEIVE_BUFFER))
        // Packets are cut for 1,200 B once and for all, the same on every path.
        .mtu_discovery_config(None)
        .initial_mtu(mtu)
        // quinn's 333 ms would make one lost first packet cost a second.
        .initial_rtt(Duration::from_millis(100))
        .allow_spin(false)
        .ack_frequency_config(Some(acknowledge))
        .congestion_controller_factory(Arc::new(Windows));
    Some(config)
}

/// Bounds on what strangers can make this side hold; quinn's defaults are 65,536 connections and 100 MiB.
pub(crate) fn bound(server: &mut ServerConfig) -> &mut ServerConfig {
    server.max_incoming(64).incoming_buffer_size(16 << 10).incoming_buffer_size_total(1 << 20)
}
