-- BPF_PROG_LOAD, in the kernel's order: attributes, capabilities, then the verdict on the
-- instructions that came with the call, told apart by when Linux would have found it: before the
-- first map is looked at, between maps, or once all are known.
local kernel = use("kernel")
local cred = use("cred")
local map = use("map")
local fd_table = use("fd_table")
local prog_type = use("prog_type")
local band = bit.band
local call = redis.call

-- prog_admit and prog_resolve are for who goes on with prog_load.
local prog_load = { sys = {}, first_half = { prog_admit = "success", prog_resolve = "success" } }

local KNOWN_FLAGS = 1 + 2 + 4 + 8 + 16 + 32 + 64 + 128
local INSNS_MAX, MAPS_MAX = 1000000, 64
local GPL = { ["GPL"] = 1, ["GPL v2"] = 1, ["GPL and additional rights"] = 1, ["Dual BSD/GPL"] = 1,
  ["Dual MIT/GPL"] = 1, ["Dual MPL/GPL"] = 1 }

-- check_map_prog_compatibility(): who may not name a map with locks.
local NO_LOCKS = { socket_filter = "socket filter", kprobe = "tracing", tracepoint = "tracing",
  perf_event = "tracing", raw_tracepoint = "tracing", raw_tracepoint_writable = "tracing" }

local function need(cap, what)
  if not cred.capable_or_admin(cap) then kernel.fail("EPERM", what .. " needs " .. cap) end
end

local function check_attributes(attr, insn_cnt)
  if band(attr.prog_flags, bit.bnot(KNOWN_FLAGS)) ~= 0 then
    map.invalid("prog_flags " .. attr.prog_flags .. " has an unknown flag")
  end
  local type = prog_type.of(attr.prog_type)
  if not cred.capable_or_admin("CAP_BPF") then
    kernel.fail("EPERM", "loading a program needs CAP_BPF")
  end
  if insn_cnt == 0 or insn_cnt > INSNS_MAX then
    kernel.fail("E2BIG", "insns: " .. insn_cnt .. " of 1 to " .. INSNS_MAX)
  end
  if type and type.cap then need(type.cap, "a program of type " .. type.name) end
  if not type then map.invalid("there is no prog_type " .. attr.prog_type) end
  local attach = prog_type.check_attach(type, attr.expected_attach_type)
  use("map_attr").check_name(attr.prog_name, "prog_name")
  if attr.log_level > 15 then map.invalid("log_level " .. attr.log_level .. " is not within 0 and 15") end
  return type, attach
end

local function refuse(refusal)
  if refusal then error(refusal, 0) end
end

local function log_fail(errno, text)
  refuse({ errno = errno, detail = text, log = text })
end

-- resolve_pseudo_ldimm64(): in the order in which the instructions name them. Answers the distinct
-- maps, and the id behind each fd.
local function resolve(refs, type)
  local maps, seen, ids = {}, {}, {}
  for i, ref in ipairs(refs) do
    local f = ref.id and use("idr").find("map", tostring(ref.id)) or fd_table.peek(ref.fd)
    if not f or f.kind ~= "map" then
      log_fail((f or (ref.fd >= 0 and ref.fd <= 2)) and "EINVAL" or "EBADF",
        "fd " .. ref.fd .. " is not pointing to valid bpf_map")
    end
    if not seen[f.id] then
      if #maps == MAPS_MAX then
        log_fail("E2BIG", "The total number of maps per program has reached the limit of 64")
      end
      seen[f.id] = map.load(f.id)
      if seen[f.id].locks and NO_LOCKS[type.name] then
        log_fail("EINVAL", NO_LOCKS[type.name] .. " progs cannot use bpf_spin_lock yet")
      end
      maps[#maps + 1] = seen[f.id]
    end
    if ref.offset then
      local direct_value = seen[f.id].ops.direct_value
      if not direct_value then log_fail("EINVAL", "no direct value access support for this map type") end
      direct_value(seen[f.id], ref.offset)
    end
    ids[i] = f.id
  end
  return maps, ids
end

-- bpf_check_tail_call(): each map that holds programs takes this one for its own, or not; what fails after
-- that (a later map, EMFILE) undoes nothing, as in Linux.
local function adopt(maps, prog)
  for _, m in ipairs(maps) do
    if m.ops.adopt then m.ops.adopt(m, prog) end
  end
end

-- All that is checked before the registers are: the program's type, and the maps and ids behind refs.
local function check(attr, insn_cnt, verdict)
  local type, attach = check_attributes(attr, insn_cnt)
  refuse(verdict.before)
  local maps, ids = resolve(verdict.refs, type)
  refuse(verdict.during)
  local log = prog_type.check_attach_btf_id(type, attach, attr.prog_flags, GPL[attr.license:sub(1, 127)])
  if log then log_fail("EINVAL", log) end
  return type, attach, maps, ids
end

-- What comes before the instructions, for who has many to look through.
function prog_load.sys.prog_admit(attr_json, insn_cnt)
  check_attributes(cjson.decode(attr_json), tonumber(insn_cnt))
end

-- For who judges the registers: the program's type, attach type, whether its licence is GPL-compatible,
-- what its maps are like, a row for each of refs, and whether it may tell addresses.
function prog_load.sys.prog_resolve(attr_json, insn_cnt, verdict_json)
  local attr, rows = cjson.decode(attr_json), {}
  local type, attach, _, ids = check(attr, tonumber(insn_cnt), cjson.decode(verdict_json))
  for i, id in ipairs(ids) do
    local key = kernel.key("map", id)
    rows[i] = { id, call("HEXISTS", key, "schema"), unpack(call("HMGET", key, "map_name", "locks",
      "map_type", "key_size", "value_size", "max_entries", "map_flags", "frozen", "inner",
      "inner_max_entries", "inner_btf")) }
  end
  local perfmon = cred.capable_or_admin("CAP_PERFMON") and 1 or 0
  return type.name, attach, GPL[attr.license:sub(1, 127)] or 0, rows, perfmon
end

-- attr and verdict are JSON. The verdict: { before, refs, during, after, tag, ids }, refs the distinct
-- maps { fd or id, offset when its value is addressed }, ids the maps for which `after` was found; in insns a
-- map is an index into refs.
function prog_load.sys.prog_load(attr_json, insns, verdict_json)
  local attr, verdict = cjson.decode(attr_json), cjson.decode(verdict_json)
  local insn_cnt = #insns / 8
  local type, attach, maps, ids = check(attr, insn_cnt, verdict)
  for i, id in ipairs(ids) do
    if tostring(verdict.ids[i]) ~= tostring(id) then
      error({ errno = "STALE", detail = "an fd is another map now" }, 0)
    end
  end
  refuse(verdict.after)
  local prog = { owner = type.name .. "/" .. attach .. "/" .. band(attr.prog_flags, 32) }
  adopt(maps, prog)
  local license = attr.license:sub(1, 127)
  local fd, id = use("idr").publish("prog", 3, { "prog_type", type.name,
    "prog_name", attr.prog_name, "tag", verdict.tag, "license", license,
    "gpl_compatible", GPL[license] or 0, "insn_cnt", insn_cnt, "load_time", use("clock").wall,
    "created_by_uid", use("session").cred().uid, "expected_attach_type", attach,
    "owner", prog.owner, "maps", table.concat(ids, ","), "func_info", attr.func_info and 1 or 0 })
  use("prog").keep(id, insns, maps)
  return fd, id, verdict.log
end

return prog_load
