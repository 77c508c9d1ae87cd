-- BPF_PROG_LOAD, in the kernel's order: attributes, capabilities, then the verdict on the
-- instructions that came with the call, told apart by when Linux would have found it: before the
-- first map is looked at, between maps, or once all are known.
local kernel = use("base/kernel")
local cred = use("base/cred")
local map = use("map/map")
local idr = use("file/idr")
local session = use("base/session")
local map_attr = use("map/map_attr")
local insns = use("prog/insns")
local prog = use("prog/prog")
local prog_maps = use("prog/prog_maps")
local prog_type = use("prog/prog_type")
local uapi = use("uapi")
local band = bit.band

local sys, first_half = kernel.sys, kernel.first_half
-- For who goes on with prog_load.
first_half.prog_admit, first_half.prog_resolve = "success", "success"

local KNOWN_FLAGS = 255
local INSNS_MAX = 1000000
local GPL = { ["GPL"] = 1, ["GPL v2"] = 1, ["GPL and additional rights"] = 1, ["Dual BSD/GPL"] = 1,
  ["Dual MIT/GPL"] = 1, ["Dual MPL/GPL"] = 1 }

local function need(cap, what)
  if not cred.capable_or_admin(cap) then kernel.fail("EPERM", what .. " needs " .. cap) end
end

local function check_attributes(attr, insn_cnt)
  if band(attr.prog_flags, bit.bnot(KNOWN_FLAGS)) ~= 0 then
    map.einval("prog_flags " .. attr.prog_flags .. " has an unknown flag")
  end
  local type = prog_type.of(attr.prog_type)
  if not cred.capable_or_admin("CAP_BPF") then
    kernel.fail("EPERM", "loading a program needs CAP_BPF")
  end
  if insn_cnt == 0 or insn_cnt > INSNS_MAX then
    kernel.fail("E2BIG", "insns: " .. insn_cnt .. " of 1 to " .. INSNS_MAX)
  end
  if type and type.cap then need(type.cap, "a program of type " .. type.name) end
  if not type then map.einval("there is no prog_type " .. attr.prog_type) end
  local attach = prog_type.check_attach(type, attr.expected_attach_type)
  map_attr.check_name(attr.prog_name, "prog_name")
  if attr.log_level > 15 then map.einval("log_level " .. attr.log_level .. " is not within 0 and 15") end
  return type, attach
end

local function refuse(refusal)
  if refusal then error(refusal, 0) end
end

-- bpf_check_tail_call(): each map that holds programs takes this one for its own, or not; what fails after
-- that (a later map, EMFILE) undoes nothing, as in Linux.
local function adopt(maps, owner)
  for _, m in ipairs(maps) do
    if m.ops.check_compatible then m.ops.check_compatible(m, owner) end
  end
end

-- All that is checked before the registers are: the program's type, and the maps and ids behind refs.
local function check(attr, insn_cnt, verdict)
  local type, attach = check_attributes(attr, insn_cnt)
  refuse(verdict.beforeMaps)
  local maps, ids = prog_maps.resolve(verdict.refs, type)
  refuse(verdict.atMap)
  local log = prog_type.check_attach_btf_id(type, attach, attr.prog_flags, GPL[attr.license:sub(1, 127)])
  if log then prog_maps.log_fail("EINVAL", log) end
  return type, attach, maps, ids
end

-- What comes before the instructions, for who has many to look through.
function sys.prog_admit(attr_json, insn_cnt)
  check_attributes(cjson.decode(attr_json), tonumber(insn_cnt))
end

-- For who judges the registers: the program's type, attach type, whether its licence is GPL-compatible,
-- what its maps are like, a row for each of refs, and whether it may tell addresses.
function sys.prog_resolve(attr_json, insn_cnt, verdict_json)
  local attr, rows = cjson.decode(attr_json), {}
  local type, attach, _, ids = check(attr, tonumber(insn_cnt), cjson.decode(verdict_json))
  for i, id in ipairs(ids) do
    rows[i] = prog_maps.row(id)
  end
  local perfmon = cred.capable_or_admin("CAP_PERFMON") and 1 or 0
  return type.name, attach, GPL[attr.license:sub(1, 127)] or 0, rows, perfmon
end

-- attr and verdict are JSON. The verdict: { beforeMaps, refs, atMap, byDoCheck, tag, ids }, refs the distinct
-- maps { fd or id, offset when its value is addressed }, ids the maps for which `byDoCheck` was found; in the
-- instructions, which are `text` or a draft, a map is an index into refs.
function sys.prog_load(attr_json, text, verdict_json, insn_cnt, draft)
  local attr, verdict = cjson.decode(attr_json), cjson.decode(verdict_json)
  insn_cnt = tonumber(insn_cnt)
  local type, attach, maps, ids = check(attr, insn_cnt, verdict)
  for i, id in ipairs(ids) do
    if tostring(verdict.ids[i]) ~= tostring(id) then
      error({ errno = "STALE", detail = "an fd is another map now" }, 0)
    end
  end
  refuse(verdict.byDoCheck)
  insns.check_draft(draft, insn_cnt)
  local owner = type.name .. "/" .. attach .. "/" .. band(attr.prog_flags, uapi.BPF_F_XDP_HAS_FRAGS)
  adopt(maps, owner)
  local license = attr.license:sub(1, 127)
  local fd, id = idr.publish("prog", 3, { "prog_type", type.name,
    "prog_name", attr.prog_name, "tag", verdict.tag, "license", license,
    "gpl_compatible", GPL[license] or 0, "insn_cnt", insn_cnt, "load_time", current.wall,
    "created_by_uid", session.cred().uid, "expected_attach_type", attach,
    "owner", owner, "maps", table.concat(ids, ","), "func_info", attr.func_info and 1 or 0 })
  insns.save(id, text, draft)
  for _, m in ipairs(maps) do prog.use_map(id, m.id) end
  return fd, id, verdict.log
end
