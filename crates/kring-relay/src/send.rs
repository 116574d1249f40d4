//! How a batch leaves: with as few system calls as the system allows.
//!
//! Guarantee: nothing waits; what the system does not take at once is lost, and counted. What goes one way stays in order. Nothing is allocated
//! for a packet, a few vectors are for a call.

use crate::batch::Batch;
use crate::port::Port;
use quinn::udp::UdpSocketState;

#[cfg(target_os = "linux")]
pub(crate) use linux::Sender;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::Sender;

/// Linux: datagrams and runs of many ways with one `sendmmsg`, a run as one datagram that the system or the network card
/// cuts (UDP GSO).
#[cfg(target_os = "linux")]
mod linux {
    use super::{Batch, Port, UdpSocketState};
    use crate::batch::{Run, Way};
    use nix::cmsg_space;
    use nix::errno::Errno;
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
    use std::collections::HashMap;
    use std::io::IoSlice;
    use std::net::IpAddr;

    /// Messages of one call.
    const TOGETHER: usize = 128;

    /// Sends batches.
    pub(crate) struct Sender {
        /// By the room that their control messages take.
        headers: HashMap<usize, MultiHeaders<SockaddrStorage>>,
        addresses: Vec<Option<SockaddrStorage>>,
        order: Vec<(Kind, usize)>,
        /// The most datagrams of a run; 1 if the system turns out not to cut.
        most: usize,
    }

    /// What the messages of one call have in common; the round comes first, so that they are sorted by it.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    struct Kind {
        round: usize,
        /// The length at which the system cuts; 0: not at all.
        segment: u16,
        ecn: u8,
        ipv4: bool,
        from: Option<IpAddr>,
    }

    impl Kind {
        fn of(run: &Run) -> Kind {
            let Way { to, from, ecn } = run.way;
            Kind {
                round: run.round,
                segment: if run.count > 1 { run.segment as u16 } else { 0 },
                ecn: ecn.map_or(0, |ecn| ecn as u8),
                ipv4: to.ip().to_canonical().is_ipv4(),
                from,
            }
        }

        /// The bytes of its control messages: what it takes exactly, since the system refuses an empty one.
        fn room(&self) -> usize {
            let segment = if self.segment > 0 { cmsg_space!(u16).capacity() } else { 0 };
            let mark = match (self.ecn, self.ipv4) {
                (0, _) => 0,
                (_, true) => cmsg_space!(u8).capacity(),
                (_, false) => cmsg_space!(i32).capacity(),
            };
            let from = match self.from {
                None => 0,
                Some(IpAddr::V4(_)) => cmsg_space!(in_pktinfo).capacity(),
                Some(IpAddr::V6(_)) => cmsg_space!(in6_pktinfo).capacity(),
            };
            segment + mark + from
        }

        /// Calls `send` with its control messages.
        fn with<T>(&self, send: impl FnOnce(&[ControlMessage<'_>]) -> T) -> T {
            let mark = i32::from(self.ecn);
            let (v4, v6) = match self.from {
                Some(IpAddr::V4(ip)) => {
                    let source = in_addr { s_addr: u32::from(ip).to_be() };
                    let info =
                        in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: in_addr { s_addr: 0 } };
                    (Some(info), None)
                }
                Some(IpAddr::V6(ip)) => {
                    let info = in6_pktinfo { ipi6_addr: in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                    (None, Some(info))
                }
                None => (None, None),
            };
            let all = [
                (self.segment > 0).then_some(ControlMessage::UdpGsoSegments(&self.segment)),
                (self.ecn > 0).then_some(if self.ipv4 {
                    ControlMessage::Ipv4Tos(&self.ecn)
                } else {
                    ControlMessage::Ipv6TClass(&mark)
                }),
                v4.as_ref().map(ControlMessage::Ipv4PacketInfo),
                v6.as_ref().map(ControlMessage::Ipv6PacketInfo),
            ];
            let mut messages = [ControlMessage::Ipv4Tos(&self.ecn); 3];
            let mut count = 0;
            for message in all.into_iter().flatten() {
                messages[count] = message;
                count += 1;
            }
            send(&messages[..count])
        }
    }

    impl Sender {
        /// Sends by sockets like that of `state`.
        pub(crate) fn new(state: &UdpSocketState) -> Sender {
            let (headers, addresses, order) = (HashMap::new(), Vec::new(), Vec::new());
            Sender { headers, addresses, order, most: state.max_gso_segments() }
        }

        /// The most datagrams of a run.
        pub(crate) fn most(&self) -> usize {
            self.most
        }

        /// Sends all; how many datagrams were lost.
        pub(crate) fn send(&mut self, port: &Port, _: &UdpSocketState, batch: &Batch) -> u64 {
            let mut order = std::mem::take(&mut self.order);
            order.clear();
            order.extend(batch.runs().iter().enumerate().map(|(number, run)| (Kind::of(run), number)));
            // Mostly they are all of one kind.
            if !order.is_sorted() {
                order.sort_unstable();
            }
            let mut lost = 0;
            for alike in order.chunk_by(|(a, _), (b, _)| a == b) {
                for together in alike.chunks(TOGETHER) {
                    lost += self.send_alike(port, batch, together);
                }
            }
            self.order = order;
            lost
        }

        fn send_alike(&mut self, port: &Port, batch: &Batch, alike: &[(Kind, usize)]) -> u64 {
            let (runs, kind) = (batch.runs(), alike[0].0);
            let mut bytes = Vec::with_capacity(alike.len());
            let ends: Vec<usize> = alike
                .iter()
                .map(|&(_, run)| {
                    bytes.extend(batch.pieces(&runs[run]).map(IoSlice::new));
                    bytes.len()
                })
                .collect();
            let begins = std::iter::once(0).chain(ends.iter().copied());
            let messages: Vec<&[IoSlice<'_>]> =
                begins.zip(&ends).map(|(from, &to)| &bytes[from..to]).collect();
            self.addresses.clear();
            self.addresses
                .extend(alike.iter().map(|&(_, run)| Some(SockaddrStorage::from(runs[run].way.to))));

            let room = kind.room();
            let headers = self.headers.entry(room).or_insert_with(|| {
                MultiHeaders::preallocate(TOGETHER, (room > 0).then(|| Vec::with_capacity(room)))
            });
            let (mut at, mut lost) = (0, 0);
            while at < alike.len() {
                let sent = kind.with(|control| {
                    let (messages, addresses) = (&messages[at..], &self.addresses[at..]);
                    let flags = MsgFlags::MSG_DONTWAIT;
                    sendmmsg(port.fd(), headers, messages, addresses, control, flags).map(Iterator::count)
                });
                match sent {
                    Ok(sent) => at += sent.max(1),
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => {
                        return lost
                            + alike[at..].iter().map(|&(_, run)| runs[run].count as u64).sum::<u64>();
                    }
                    // It is about the first; the others have their try.
                    Err(error) => {
                        if kind.segment > 0 && matches!(error, Errno::EIO | Errno::EINVAL) {
                            self.most = 1;
                        }
                        lost += runs[alike[at].1].count as u64;
                        at += 1;
                    }
                }
            }
            lost
        }
    }
}

/// Elsewhere: a call for each run, or for each datagram where the system can't cut.
#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Batch, Port, UdpSocketState};
    use quinn::udp::Transmit;

    /// Sends batches.
    pub(crate) struct Sender {
        most: usize,
        bytes: Vec<u8>,
    }

    impl Sender {
        /// Sends by sockets like that of `state`.
        pub(crate) fn new(state: &UdpSocketState) -> Sender {
            Sender { most: state.max_gso_segments(), bytes: Vec::new() }
        }

        /// The most datagrams of a run.
        pub(crate) fn most(&self) -> usize {
            self.most
        }

        /// Sends all; how many datagrams were lost.
        pub(crate) fn send(&mut self, port: &Port, state: &UdpSocketState, batch: &Batch) -> u64 {
            let mut lost = 0;
            for run in batch.runs() {
                self.bytes.clear();
                batch.pieces(run).for_each(|piece| self.bytes.extend_from_slice(piece));
                let transmit = Transmit {
                    destination: run.way.to,
                    ecn: run.way.ecn,
                    contents: &self.bytes,
                    segment_size: (run.count > 1).then_some(run.segment),
                    src_ip: run.way.from,
                };
                if state.send(port.as_ref(), &transmit).is_err() {
                    lost += run.count as u64;
                }
            }
            lost
        }
    }
}
