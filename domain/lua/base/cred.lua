-- Permissions of the caller: capabilities, and mode bits of inodes (kernel: fs/namei.c).
local kernel = use("base/kernel")
local session = use("base/session")
local band, rshift = bit.band, bit.rshift

local cred = {}

-- caps is "*" for all capabilities, else ",CAP_A,CAP_B,".
function cred.capable(cap)
  local caps = session.cred().caps
  return caps == "*" or caps:find("," .. cap .. ",", 1, true) ~= nil
end

-- bpf_capable() and its kin: the capability or CAP_SYS_ADMIN.
function cred.capable_or_admin(cap)
  return cred.capable(cap) or cred.capable("CAP_SYS_ADMIN")
end

function cred.need_admin(what)
  if not cred.capable("CAP_SYS_ADMIN") then kernel.fail("EPERM", what .. " needs CAP_SYS_ADMIN") end
end

function cred.in_group_p(gid)
  local c = session.cred()
  return c.gid == gid or c.groups:find("," .. gid .. ",", 1, true) ~= nil
end

function cred.owner_or_capable(node)
  return session.cred().uid == node.uid or cred.capable("CAP_FOWNER")
end

-- generic_permission(): mask is a sum of 4 (read), 2 (write), 1 (execute or search).
function cred.can_access(node, mask)
  local mode = node.mode
  if session.cred().uid == node.uid then
    mode = rshift(mode, 6)
  elseif cred.in_group_p(node.gid) then
    mode = rshift(mode, 3)
  end
  if band(mask, mode) == mask then return true end
  if node.kind == "directory" then
    if band(mask, 2) == 0 and cred.capable("CAP_DAC_READ_SEARCH") then return true end
    return cred.capable("CAP_DAC_OVERRIDE")
  end
  if mask == 4 and cred.capable("CAP_DAC_READ_SEARCH") then return true end
  if band(mask, 1) == 0 or band(node.mode, 73) ~= 0 then return cred.capable("CAP_DAC_OVERRIDE") end
  return false
end

function cred.check_access(node, mask, what)
  if not cred.can_access(node, mask) then
    kernel.fail("EACCES", what .. " is denied by mode " .. ("%04o"):format(node.mode) .. " of uid "
      .. node.uid
      .. ", gid " .. node.gid)
  end
end

-- __check_sticky(): true when the sticky bit of the directory denies the caller to remove the entry.
function cred.check_sticky(dir, node)
  if band(dir.mode, 512) == 0 then return false end
  local uid = session.cred().uid
  return uid ~= node.uid and uid ~= dir.uid and not cred.capable("CAP_FOWNER")
end

return cred
