# Two hypervisors that share one disk of an array over iSCSI, with OCFS2 on it.

variable "chap_password" {
  type      = string
  sensitive = true
}

host "hv1" {
  address = "192.0.2.11"
}

host "hv2" {
  address = "192.0.2.12"
}

image_storage "main" {
  hosts = [host.hv1, host.hv2]
  owner = "libvirt-qemu"
  group = "kvm"
  mode  = "0770"
}

iscsi_target "array" {
  hosts   = image_storage.main.hosts
  iqn     = "iqn.2026-01.example.lab:array"
  portals = ["198.51.100.5:3260"]
  chap {
    username = "larder"
    password = var.chap_password
  }
}

# The nodes speak to each other on a network of their own. With 61 a node may lose the disk for 120 seconds: as long as iSCSI tries.
ocfs2_cluster "vms" {
  nodes               = image_storage.main.hosts
  addresses           = { hv1 = "198.51.100.11", hv2 = "198.51.100.12" }
  heartbeat_threshold = 61
}

ocfs2_volume "data" {
  storage    = image_storage.main
  cluster    = ocfs2_cluster.vms
  device     = "/dev/disk/by-id/wwn-0x600140587b6144a139142cd8fae5f23c"
  format     = true
  depends_on = [iscsi_target.array]
}

image "web" {
  volume = ocfs2_volume.data
  format = "qcow2"
  size   = "40GiB"
}
