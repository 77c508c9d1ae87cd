-- BPF_PROG_TEST_RUN, first half: a snapshot of the programs and maps that a run may reach. The program runs
-- outside of Redis, on this snapshot; run_commit.lua then compares and writes.
-- A request comes packed: { program, programs, maps }. `program` is the id that it was made for,
-- programs are { id, known load_time }, maps { id, mode, ... }, with the modes
--   "keys", key...   these elements, or all when there are few
--   "whole"          all elements
--   "front", n       the n elements that a queue or stack pops next
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

local MAP_SLOT_ATTACH = { [tostring(uapi.BPF_XDP_DEVMAP)] = true, [tostring(uapi.BPF_XDP_CPUMAP)] = true }

-- 1 for a program that the caller knows, else the fields of uapi.RUN_PROG with the attributes of its maps,
-- its instructions (false: read by prog_pages) and its id; false for one that is gone.
local function read_program(request)
  local fields = call("HMGET", kernel.key("prog", request[1]), unpack(uapi.RUN_PROG))
  if not fields[1] then return false end
  if fields[1] == request[2] then return 1 end
  local maps = {}
  for id in fields[#fields]:gmatch("%d+") do maps[#maps + 1] = run_snapshot.attributes(map.load(id)) end
  fields[#fields] = maps
  local insn_cnt = tonumber(call("HGET", kernel.key("prog", request[1]), "insn_cnt"))
  fields[#fields + 1] = insns.read(request[1], insn_cnt)
  fields[#fields + 1] = request[1]
  return fields
end

local function map_list(list, fn)
  local results = {}
  for i, item in ipairs(list) do results[i] = fn(item) end
  return results
end

local function read_snapshot(id, packed)
  local request = cmsgpack.unpack(packed)
  local loaded, type, attach =
    unpack(call("HMGET", kernel.key("prog", id), "load_time", "prog_type", "expected_attach_type"))
  if NO_TEST_RUN[type] then kernel.fail("ENOTSUPP", "a program of type " .. type .. " has no test run") end
  if type == "xdp" and MAP_SLOT_ATTACH[attach] then
    kernel.fail("EINVAL", "an xdp program that attaches to devmap or cpumap slots has no test run")
  end
  if tostring(request[1]) ~= tostring(id) then return id, loaded, false, false end
  return id, loaded, map_list(request[2], read_program), map_list(request[3], run_snapshot.read)
end

--[[
  BPF_PROG_TEST_RUN (kernel: bpf_prog_test_run()), first half: answers what a run reads.

    Input:
      fd      of the program
      packed  what is requested, see above
    Output:
      id, load_time  of the program
      programs       1 for one that is known, false for one that is gone, else its row
      maps           uapi.MAP_SNAPSHOT of each
                     (both false when `packed` is for another program)
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a program, or one for the slots of a devmap or cpumap
      ENOTSUPP  the type has no test run
      E2BIG     the run reads more than one script answers in time
]]
function sys.prog_test_run(fd, packed)
  return read_snapshot(fd_table.fget_kind(fd, "prog").id, packed)
end

--[[
  The same for a pinned program, without an fd (extension); permissions are those of BPF_OBJ_GET.

    Input:
      path    of the pin
      packed  what is requested, see above
    Output: as prog_test_run
    Errors: those of prog_test_run, and
      EACCES  the mode denies it, or the path is not a pin
      EINVAL  the pin is a map
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.prog_run(path, packed)
  local node = namei.user_path_at(path, true)
  cred.check_access(node, 6, "running " .. path)
  if node.kind ~= "map" and node.kind ~= "prog" then
    kernel.fail("EACCES", path .. " is a " .. node.kind .. ", not a pinned program")
  end
  if node.kind == "map" then kernel.fail("EINVAL", path .. " must be a program, is a map") end
  return read_snapshot(node.object, packed)
end
