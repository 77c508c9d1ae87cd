-- The checks of BPF_PROG_LOAD in the kernel's order: attributes, capabilities, then the refusals found
-- outside of Redis, each where Linux would have found it: before the first map, between maps, after them.
local kernel = use("base/kernel")
local cred = use("base/cred")
local map = use("map/map")
local map_attr = use("map/map_attr")
local prog_maps = use("prog/prog_maps")
local prog_type = use("prog/prog_type")
local prog_btf = use("prog/prog_btf")
local band = bit.band

local prog_check = {}

local KNOWN_FLAGS = 255
local INSNS_MAX = 1000000
local GPL = { ["GPL"] = 1, ["GPL v2"] = 1, ["GPL and additional rights"] = 1, ["Dual BSD/GPL"] = 1,
  ["Dual MIT/GPL"] = 1, ["Dual MPL/GPL"] = 1 }

-- The kernel keeps 127 bytes of the license.
function prog_check.license(attr)
  return kernel.prefix(attr.license, 127)
end

-- license_is_gpl_compatible()
function prog_check.is_gpl(attr)
  return GPL[prog_check.license(attr)] == 1
end

local function need(cap, what)
  if not cred.capable_or_admin(cap) then kernel.fail("EPERM", what .. " needs " .. cap) end
end

function prog_check.attributes(attr, insn_cnt)
  if band(attr.prog_flags, bit.bnot(KNOWN_FLAGS)) ~= 0 then
    map.einval("prog_flags must have no bit but those of " .. KNOWN_FLAGS .. ", got " .. attr.prog_flags)
  end
  local type = prog_type.of(attr.prog_type)
  if not cred.capable_or_admin("CAP_BPF") then
    kernel.fail("EPERM", "loading a program needs CAP_BPF")
  end
  if insn_cnt == 0 or insn_cnt > INSNS_MAX then
    kernel.fail("E2BIG", "a program must have 1 to " .. INSNS_MAX .. " instructions, got " .. insn_cnt)
  end
  if type and type.cap then need(type.cap, "a program of type " .. type.name) end
  if not type then map.einval("unknown prog_type " .. attr.prog_type) end
  local attach = prog_type.check_attach(type, attr.expected_attach_type)
  map_attr.check_name(attr.prog_name, "prog_name")
  if attr.log_level > 15 then map.einval("log_level must be from 0 to 15, got " .. attr.log_level) end
  return type, attach
end

function prog_check.refuse(refusal)
  if refusal then error(refusal, 0) end
end

-- Everything that the kernel checks before it follows registers: type, attributes, BTF, the maps behind refs.
function prog_check.before_registers(attr, insn_cnt, verdict)
  local type, attach = prog_check.attributes(attr, insn_cnt)
  prog_btf.check(attr, verdict)
  prog_check.refuse(verdict.beforeMaps)
  local maps, ids = prog_maps.resolve(verdict.refs, type)
  prog_check.refuse(verdict.atMap)
  local log = prog_type.check_attach_btf_id(type, attach, attr.prog_flags, prog_check.is_gpl(attr))
  if log then prog_maps.log_fail("EINVAL", log) end
  return type, attach, maps, ids
end

return prog_check
