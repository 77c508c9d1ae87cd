-- The command that changes mode and owner of a node (kernel: fs/attr.c).
local kernel = use("base/kernel")
local session = use("base/session")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local vfs = use("fs/vfs")
local band = bit.band

local SUID, SGID = 2048, 1024

local function without(mode, bits)
  return mode - band(mode, bits)
end

-- in_group_or_capable(): who may keep a setgid bit.
local function may_setgid(gid)
  return cred.in_group_p(gid) or cred.capable("CAP_FSETID")
end

-- chown_ok() and chgrp_ok()
local function may_chown(node, uid, gid)
  local owner = session.cred().uid == node.uid
  if not (owner and uid == node.uid) and not cred.capable("CAP_CHOWN") then return false end
  return (owner and (gid == node.gid or cred.in_group_p(gid))) or cred.capable("CAP_CHOWN")
end

-- setattr_should_drop_suidgid(): the mode of a file after chown, which its old group decides.
local function chown_mode(node, gid)
  if node.kind == "directory" then return node.mode end
  local mode = without(node.mode, SUID)
  if band(mode, 8) ~= 0 or not may_setgid(node.gid) then mode = without(mode, SGID) end
  if mode ~= node.mode and not may_setgid(gid) then mode = without(mode, SGID) end
  return mode
end

--[[
  chown(2), then chmod(2) of one node (kernel: setattr_prepare(), bpffs uses simple_setattr()).

    Input: "" leaves an attribute as it is
      path
      mode      permission bits
      uid, gid  numbers
    Output:
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EPERM  the caller may not change the owner or the mode
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function kernel.sys.setattr(path, mode, uid, gid)
  local node = namei.user_path_at(path, true)
  local new_uid, new_gid = tonumber(uid) or node.uid, tonumber(gid) or node.gid
  local chowns = uid ~= "" or gid ~= ""
  if chowns and not may_chown(node, new_uid, new_gid) then
    kernel.fail("EPERM", "changing the owner of " .. path .. " (uid " .. node.uid .. ", gid " .. node.gid
      .. ") needs CAP_CHOWN")
  end
  local left = chowns and chown_mode(node, new_gid) or node.mode
  if (mode ~= "" or left ~= node.mode) and not cred.owner_or_capable(node) then
    kernel.fail("EPERM", "changing the mode of " .. path .. " needs its owner, uid " .. node.uid
      .. ", or CAP_FOWNER")
  end
  node.uid, node.gid, node.mode = new_uid, new_gid, left
  if mode ~= "" then
    node.mode = band(mode, 4095)
    if not may_setgid(node.gid) then node.mode = without(node.mode, SGID) end
  end
  inode.store(node)
  return vfs.attributes(node)
end
