-- Program types: their numbers and names (enum bpf_prog_type), the capability each needs besides
-- CAP_BPF, and the attach types that the strict ones insist on (bpf_prog_load_check_attach).
local kernel = use("base/kernel")
local map = use("map/map")
local uapi = use("uapi")

local prog_type = {}

local NET, PERF = "CAP_NET_ADMIN", "CAP_PERFMON"

-- number, name, capability.
local TYPES = {
  { 1, "socket_filter" }, { 2, "kprobe", PERF }, { 3, "sched_cls", NET }, { 4, "sched_act", NET },
  { 5, "tracepoint", PERF }, { 6, "xdp", NET }, { 7, "perf_event", PERF }, { 8, "cgroup_skb" },
  { 9, "cgroup_sock", NET }, { 10, "lwt_in", NET }, { 11, "lwt_out", NET }, { 12, "lwt_xmit", NET },
  { 13, "sock_ops", NET }, { 14, "sk_skb", NET }, { 15, "cgroup_device", NET }, { 16, "sk_msg", NET },
  { 17, "raw_tracepoint", PERF }, { 18, "cgroup_sock_addr", NET }, { 19, "lwt_seg6local", NET },
  { 20, "lirc_mode2" }, { 21, "sk_reuseport" }, { 22, "flow_dissector", NET },
  { 23, "cgroup_sysctl", NET }, { 24, "raw_tracepoint_writable", PERF }, { 25, "cgroup_sockopt", NET },
  { 30, "sk_lookup" }, { 31, "syscall" }, { 32, "netfilter", NET },
  { 26, "tracing", PERF }, { 27, "struct_ops", PERF }, { 28, "ext", NET }, { 29, "lsm", PERF },
}

local function set(numbers)
  local members = {}
  for _, number in ipairs(numbers) do members[number] = true end
  return members
end

-- The attach types that a strict program type takes.
local ATTACH = {
  cgroup_sock = set{ uapi.BPF_CGROUP_INET_SOCK_CREATE, uapi.BPF_CGROUP_INET4_POST_BIND,
    uapi.BPF_CGROUP_INET6_POST_BIND, uapi.BPF_CGROUP_INET_SOCK_RELEASE },
  cgroup_skb = set{ uapi.BPF_CGROUP_INET_INGRESS, uapi.BPF_CGROUP_INET_EGRESS },
  cgroup_sockopt = set{ uapi.BPF_CGROUP_GETSOCKOPT, uapi.BPF_CGROUP_SETSOCKOPT },
  cgroup_sock_addr = set{
    uapi.BPF_CGROUP_INET4_BIND, uapi.BPF_CGROUP_INET6_BIND,
    uapi.BPF_CGROUP_INET4_CONNECT, uapi.BPF_CGROUP_INET6_CONNECT,
    uapi.BPF_CGROUP_UDP4_SENDMSG, uapi.BPF_CGROUP_UDP6_SENDMSG,
    uapi.BPF_CGROUP_UDP4_RECVMSG, uapi.BPF_CGROUP_UDP6_RECVMSG,
    uapi.BPF_CGROUP_INET4_GETPEERNAME, uapi.BPF_CGROUP_INET6_GETPEERNAME,
    uapi.BPF_CGROUP_INET4_GETSOCKNAME, uapi.BPF_CGROUP_INET6_GETSOCKNAME,
    uapi.BPF_CGROUP_UNIX_CONNECT, uapi.BPF_CGROUP_UNIX_SENDMSG, uapi.BPF_CGROUP_UNIX_RECVMSG,
    uapi.BPF_CGROUP_UNIX_GETPEERNAME, uapi.BPF_CGROUP_UNIX_GETSOCKNAME },
  sk_lookup = set{ uapi.BPF_SK_LOOKUP },
  sk_reuseport = set{ uapi.BPF_SK_REUSEPORT_SELECT, uapi.BPF_SK_REUSEPORT_SELECT_OR_MIGRATE },
  netfilter = set{ uapi.BPF_NETFILTER },
  -- These have no attach type, so it must be 0.
  syscall = set{ 0 },
  ext = set{ 0 },
}

-- A type by name or number, or nil.
function prog_type.of(name)
  for _, t in ipairs(TYPES) do
    if t[2] == name or tostring(t[1]) == tostring(name) then
      return { name = t[2], cap = t[3] }
    end
  end
end

-- bpf_prog_load_fixup_attach_type() gives zero its meaning, for the check and for ever.
function prog_type.check_attach(type, attach)
  local allowed = ATTACH[type.name]
  if type.name == "cgroup_sock" and attach == 0 then attach = uapi.BPF_CGROUP_INET_SOCK_CREATE end
  if type.name == "sk_reuseport" and attach == 0 then attach = uapi.BPF_SK_REUSEPORT_SELECT end
  if allowed and not allowed[attach] then
    local list = {}
    for n in pairs(allowed) do list[#list + 1] = n end
    table.sort(list)
    map.einval("expected_attach_type of a " .. type.name .. " must be one of " .. table.concat(list, ", ")
      .. ", got " .. attach)
  end
  return attach
end

-- can_be_sleepable(): by type, or by the attach types of one.
local SLEEPERS = { kprobe = true, lsm = true, struct_ops = true,
  tracing = set{ uapi.BPF_TRACE_FENTRY, uapi.BPF_TRACE_FEXIT, uapi.BPF_MODIFY_RETURN,
    uapi.BPF_TRACE_ITER } }

local function can_sleep(type, attach)
  local sleeper = SLEEPERS[type.name]
  return sleeper == true or sleeper and sleeper[attach]
end

-- check_attach_btf_id(), for programs that name no kernel function or structure, of which there are none
-- here. Answers the log of EINVAL, or nothing.
function prog_type.check_attach_btf_id(type, attach, flags, gpl)
  local sleeps = bit.band(flags, uapi.BPF_F_SLEEPABLE) ~= 0
  if type.name == "syscall" then
    return not sleeps and "Syscall programs can only be sleepable"
  elseif sleeps and not can_sleep(type, attach) then
    return "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable"
  elseif type.name == "struct_ops" then
    if not gpl then return "struct ops programs must have a GPL compatible license" end
    kernel.fail("ENOTSUPP", "there are no struct_ops to load a program for")
  elseif type.name == "tracing" or type.name == "lsm" or type.name == "ext" then
    return "Tracing programs must provide btf_id"
  end
end

return prog_type
