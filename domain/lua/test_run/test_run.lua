-- BPF_PROG_TEST_RUN, first half: what a run has to see, as of one moment. The program itself runs
-- outside of Redis, on what is answered here; run_commit.lua then compares and writes.
-- What is wanted comes packed: { program, programs, maps }. program is the id for which the rest was
-- thought of: when the caller's is another one, only that is told. Programs are { id, load_time known },
-- maps { id, mode, ... }, the modes:
--   "keys", key...   these elements, or all of them when there are few
--   "whole"          all elements
--   "front", n       of a queue or stack the n to be popped next
local kernel = use("base/kernel")
local cred = use("base/cred")
local map = use("map/map")
local call = redis.call

local run_snapshot = use("test_run/run_snapshot")
local fd_table = use("file/fd_table")
local namei = use("fs/namei")
local insns = use("prog/insns")
local uapi = use("uapi")

local sys, first_half = kernel.sys, kernel.first_half
first_half.prog_test_run, first_half.prog_run = "all", "all"

local NO_TEST_RUN = { kprobe = true, tracepoint = true, perf_event = true, cgroup_sock = true,
  cgroup_device = true, sock_ops = true, sk_skb = true, sk_msg = true, cgroup_sock_addr = true,
  sk_reuseport = true, cgroup_sysctl = true, cgroup_sockopt = true, lirc_mode2 = true,
  lwt_seg6local = true, flow_dissector = true, raw_tracepoint = true,
  raw_tracepoint_writable = true, sk_lookup = true, syscall = true, netfilter = true }

local IN_SLOTS = { [tostring(uapi.BPF_XDP_DEVMAP)] = true, [tostring(uapi.BPF_XDP_CPUMAP)] = true }

-- 1 for a program that is known as it is, else the fields of uapi.RUN_PROG with the attributes of its maps,
-- its instructions (false: read by prog_pages) and its id; false for one that is gone.
local function program(want)
  local fields = call("HMGET", kernel.key("prog", want[1]), unpack(uapi.RUN_PROG))
  if not fields[1] then return false end
  if fields[1] == want[2] then return 1 end
  local maps = {}
  for id in fields[#fields]:gmatch("%d+") do maps[#maps + 1] = run_snapshot.attributes(map.load(id)) end
  fields[#fields] = maps
  local insn_cnt = tonumber(call("HGET", kernel.key("prog", want[1]), "insn_cnt"))
  fields[#fields + 1] = insns.read(want[1], insn_cnt)
  fields[#fields + 1] = want[1]
  return fields
end

local function mapped(list, fn)
  local answers = {}
  for i, want in ipairs(list) do answers[i] = fn(want) end
  return answers
end

-- The program's id and time of loading, then the programs and maps wanted, unless wanted for another.
local function see(id, packed)
  local wants = cmsgpack.unpack(packed)
  local loaded, type, attach =
    unpack(call("HMGET", kernel.key("prog", id), "load_time", "prog_type", "expected_attach_type"))
  if NO_TEST_RUN[type] then kernel.fail("ENOTSUPP", "a " .. type .. " program has no test run") end
  if type == "xdp" and IN_SLOTS[attach] then
    kernel.fail("EINVAL", "an xdp program for slots of devmaps and cpumaps has no test run")
  end
  if tostring(wants[1]) ~= tostring(id) then return id, loaded, false, false end
  return id, loaded, mapped(wants[2], program), mapped(wants[3], run_snapshot.view)
end

function sys.prog_test_run(fd, packed)
  return see(fd_table.fget_kind(fd, "prog").id, packed)
end

-- The same for a pinned program, without an fd: permissions are those of BPF_OBJ_GET.
function sys.prog_run(path, packed)
  local node = namei.node(path, true)
  cred.need(node, 6, "running " .. path)
  if node.kind ~= "map" and node.kind ~= "prog" then
    kernel.fail("EACCES", path .. " is a " .. node.kind .. ", not a pin")
  end
  if node.kind == "map" then kernel.fail("EINVAL", path .. " is a map, not a program") end
  return see(node.object, packed)
end
