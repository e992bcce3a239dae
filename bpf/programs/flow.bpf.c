// SPDX-License-Identifier: GPL-2.0
// The TCP sockets of tasks. A pass over all sockets reports what is waiting now and what was transferred
// since the last pass. A socket that closes in between adds the rest itself.
#include "bpf/wire/flow.h"

#include "bpf/programs/governed.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile uint32_t own_network = 0;  // inode number of the network namespace that passes see

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);  // set by the loader
  __type(key, uint32_t);   // slot
  __type(value, struct sluice_flow_slot);
} flows SEC(".maps");

// What has been counted of a socket. Exists only for sockets of governed cgroups.
struct socket {
  uint64_t owner_id;  // the governed cgroup that accepted it, if it is not the creator's; or 0
  uint64_t seen_at_ns;
  uint64_t received_bytes;
  uint64_t sent_bytes;
  uint64_t window_closed;
};

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct socket);
} sockets SEC(".maps");

struct sluice_flow_state flow;

enum {
  ESTABLISHED = 1,
  SYN_SENT = 2,
  SYN_RECV = 3,
  FIN_WAIT1 = 4,
  CLOSE = 7,
  LAST_ACK = 9,
  LISTEN = 10,
  CLOSING = 11,
  NEW_SYN_RECV = 12,
};

struct state {
  uint64_t received_bytes, sent_bytes, unread_bytes, unsent_bytes;
  bool window_closed;
};

// FIN takes a sequence number, but is no payload.
static __always_inline struct state read_socket(struct tcp_sock* tp, int tcp_state) {
  struct state s = {};
  struct sock* sk = &tp->inet_conn.icsk_inet.sk;
  bool got_fin = sk->__sk_common.skc_flags >> (bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 63) & 1;
  bool owes_fin = tcp_state == FIN_WAIT1 || tcp_state == LAST_ACK || tcp_state == CLOSING;
  uint32_t received_next = tp->rcv_nxt, write_end = tp->write_seq;

  s.received_bytes = tp->bytes_received;
  if (got_fin && s.received_bytes) s.received_bytes--;
  uint32_t unread = received_next - tp->copied_seq;
  if (got_fin && unread) unread--;
  s.unread_bytes = unread;

  uint32_t unsent = write_end - tp->snd_una, unstarted = write_end - tp->snd_nxt;
  if (owes_fin && unsent) unsent--;
  if (owes_fin && unstarted) unstarted--;
  s.unsent_bytes = unsent;
  s.sent_bytes = tp->bytes_sent - tp->bytes_retrans + unstarted;

  uint32_t window_end = tp->rcv_wup + tp->rcv_wnd;
  s.window_closed = (int32_t)(window_end - received_next) <= 0;
  return s;
}

static __always_inline struct sluice_flow_slot* flow_of(struct sock* sk, const struct socket* seen) {
  uint32_t slot = SLUICE_NO_SLOT;
  if (seen && seen->owner_id) {
    uint64_t id = seen->owner_id;
    const uint32_t* owner = bpf_map_lookup_elem(&governed, &id);
    if (owner) slot = *owner;
  }
  if (slot == SLUICE_NO_SLOT) {
    struct cgroup* creator = sk->sk_cgrp_data.cgroup;
    if (!creator) return NULL;
    slot = governed_slot(creator, creator->kn->id);
  }
  return slot == SLUICE_NO_SLOT ? NULL : bpf_map_lookup_elem(&flows, &slot);
}

// Adds what the socket transferred since it was last seen.
static __always_inline void credit(struct sluice_flow_slot* to, struct socket* seen, const struct state* now,
                                   uint64_t at_ns) {
  // first seen since the cgroup became governed
  if (seen->seen_at_ns < to->governed_at_ns || !seen->seen_at_ns) {
    seen->received_bytes = to->primed ? 0 : now->received_bytes;
    seen->sent_bytes = to->primed ? 0 : now->sent_bytes;
    seen->window_closed = now->window_closed;
    seen->seen_at_ns = at_ns;
  }
  if (now->received_bytes > seen->received_bytes)
    __sync_fetch_and_add(&to->received_bytes, now->received_bytes - seen->received_bytes);
  if (now->sent_bytes > seen->sent_bytes)
    __sync_fetch_and_add(&to->sent_bytes, now->sent_bytes - seen->sent_bytes);
  // Half of the time between two visits counts for each visit that finds the window closed.
  uint64_t closed_halves = seen->window_closed + now->window_closed;
  if (closed_halves && at_ns > seen->seen_at_ns)
    __sync_fetch_and_add(&to->zero_window_ns, (at_ns - seen->seen_at_ns) * closed_halves / 2);
  seen->received_bytes = now->received_bytes;
  seen->sent_bytes = now->sent_bytes;
  seen->window_closed = now->window_closed;
  seen->seen_at_ns = at_ns;
}

// One read() of the iterator is one pass. The iterator holds each socket's lock meanwhile.
SEC("iter/tcp")
int visit_socket(struct bpf_iter__tcp* ctx) {
  struct sock_common* common = ctx->sk_common;
  if (!common) return 0;
  struct tcp_sock* tp = bpf_skc_to_tcp_sock(common);
  if (!tp) return 0;  // a handshake or TIME_WAIT: no payload is waiting
  int tcp_state = common->skc_state;
  if (tcp_state == LISTEN || tcp_state == SYN_SENT || tcp_state == SYN_RECV || tcp_state == CLOSE) return 0;
  flow.met++;

  struct sock* sk = &tp->inet_conn.icsk_inet.sk;
  struct socket* seen = bpf_sk_storage_get(&sockets, tp, NULL, 0);
  struct sluice_flow_slot* to = flow_of(sk, seen);
  if (!to) return 0;
  if (to->pass != flow.pass) {
    to->sockets = to->unread_bytes = to->unsent_bytes = 0;
    to->pass = flow.pass;
  }
  struct state now = read_socket(tp, tcp_state);
  to->sockets++;
  to->unread_bytes += now.unread_bytes;
  to->unsent_bytes += now.unsent_bytes;
  if (!seen) seen = bpf_sk_storage_get(&sockets, tp, NULL, BPF_SK_STORAGE_GET_F_CREATE);
  if (seen)
    credit(to, seen, &now, flow.at_ns);
  else
    __sync_fetch_and_add(&flow.lost, 1);
  return 0;
}

// Called at the end of every connection, however short.
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock* sk, int old_state, int new_state) {
  if (new_state != CLOSE || old_state == LISTEN || old_state == SYN_SENT || old_state == SYN_RECV ||
      old_state == NEW_SYN_RECV || old_state == CLOSE)
    return 0;
  struct tcp_sock* tp = bpf_skc_to_tcp_sock(sk);
  if (!tp) return 0;
  struct socket* seen = bpf_sk_storage_get(&sockets, tp, NULL, 0);
  struct sluice_flow_slot* to = flow_of(sk, seen);
  if (!to || (!seen && !to->primed)) return 0;
  struct state now = read_socket(tp, old_state);
  now.window_closed = false;
  if (seen) {
    credit(to, seen, &now, bpf_ktime_get_ns());
    return 0;
  }
  struct socket never_seen = {};
  credit(to, &never_seen, &now, bpf_ktime_get_ns());
  return 0;
}

// A listener that another process created (such as systemd) gives its cgroup to accepted sockets. The stream
// belongs to the acceptor.
static __always_inline int on_accepted(struct sock* accepted) {
  if (!accepted) return 0;
  struct task_struct* task = bpf_get_current_task_btf();
  struct cgroup* reader = task->cgroups->dfl_cgrp;
  struct cgroup* creator = accepted->sk_cgrp_data.cgroup;
  if (reader == creator) return 0;
  uint32_t slot = governed_slot(reader, reader->kn->id);
  struct sluice_flow_slot* to = slot == SLUICE_NO_SLOT ? NULL : bpf_map_lookup_elem(&flows, &slot);
  if (!to) return 0;
  struct socket fresh = {.owner_id = to->cgroup_id};
  bpf_sk_storage_get(&sockets, accepted, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
  return 0;
}

SEC("?fexit/inet_csk_accept")
int BPF_PROG(on_accept_4, struct sock* listener, int flags, int* error, bool kernel, struct sock* accepted) {
  return on_accepted(accepted);
}

SEC("?fexit/inet_csk_accept")  // since 6.10
int BPF_PROG(on_accept_2, struct sock* listener, void* arguments, struct sock* accepted) {
  return on_accepted(accepted);
}

// Passes see one network namespace. Sockets of a task in another one are not counted.
SEC("iter/task")
int visit_task(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  if (!task) return 0;
  uint32_t network = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
  if (!network || network == own_network) return 0;  // 0: it is exiting
  struct cgroup* cgrp = task->cgroups->dfl_cgrp;
  uint32_t slot = governed_slot(cgrp, cgrp->kn->id);
  struct sluice_flow_slot* to = slot == SLUICE_NO_SLOT ? NULL : bpf_map_lookup_elem(&flows, &slot);
  if (to) to->elsewhere = flow.look;
  return 0;
}
