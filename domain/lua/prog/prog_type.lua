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

-- The attach types that a strict program type takes.
local ATTACH = {
  cgroup_sock = { [2] = true, [12] = true, [13] = true, [34] = true },
  cgroup_skb = { [0] = true, [1] = true },
  cgroup_sockopt = { [21] = true, [22] = true },
  cgroup_sock_addr = {},
  sk_lookup = { [36] = true },
  sk_reuseport = { [39] = true, [40] = true },
  netfilter = { [45] = true },
  syscall = { [0] = true },
  ext = { [0] = true },
}
for _, n in ipairs({ 8, 9, 10, 11, 14, 15, 19, 20, 29, 30, 31, 32, 49, 50, 51, 52, 53 }) do
  ATTACH.cgroup_sock_addr[n] = true
end

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
  if type.name == "cgroup_sock" and attach == 0 then attach = 2 end
  if type.name == "sk_reuseport" and attach == 0 then attach = 39 end
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
  tracing = { [24] = true, [25] = true, [26] = true, [28] = true } }

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
