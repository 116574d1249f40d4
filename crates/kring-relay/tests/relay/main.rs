//! A real relay on loopback, real clients, and whoever else may come.

mod hostile;
mod lifecycle;
mod limits;
mod packets;
mod rendezvous;
mod setting;
mod tcp;
