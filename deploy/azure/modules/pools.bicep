// Node pools of the stylizers. Both start without a node: a pod that fits nowhere starts the first one.

param clusterName string
param nodesSubnetId string

@description('Whether the machines\' local disks are encrypted, too; this feature has to be registered first.')
param hostEncryption bool

param gpuVmSize string

@description('Maximum number of GPU nodes; a stylizer needs a partition of the hub of frames.')
param gpuMaxNodes int

@description('Whether GPU nodes are spot capacity: far cheaper, but may be taken back at any time.')
param gpuSpot bool

param cpuVmSize string

@description('Maximum number of CPU nodes for stylizers; 0: no such pool.')
param cpuMaxNodes int

resource cluster 'Microsoft.ContainerService/managedClusters@2025-07-01' existing = {
  name: clusterName
}

resource gpu 'Microsoft.ContainerService/managedClusters/agentPools@2025-07-01' = if (gpuMaxNodes > 0) {
  parent: cluster
  name: 'gpu'
  properties: {
    type: 'VirtualMachineScaleSets'
    mode: 'User'
    osType: 'Linux'
    vmSize: gpuVmSize
    enableAutoScaling: true
    count: 0
    minCount: 0
    maxCount: gpuMaxNodes
    maxPods: 60
    enableEncryptionAtHost: hostEncryption
    vnetSubnetID: nodesSubnetId
    nodeTaints: [
      'sku=gpu:NoSchedule'
    ]
    nodeLabels: {
      'stylestream/pool': 'gpu'
    }
    // AKS adds the taint kubernetes.azure.com/scalesetpriority=spot:NoSchedule to a spot pool.
    scaleSetPriority: gpuSpot ? 'Spot' : 'Regular'
    scaleSetEvictionPolicy: gpuSpot ? 'Delete' : null
    spotMaxPrice: gpuSpot ? -1 : null
  }
}

resource cpu 'Microsoft.ContainerService/managedClusters/agentPools@2025-07-01' = if (cpuMaxNodes > 0) {
  parent: cluster
  name: 'cpu'
  properties: {
    type: 'VirtualMachineScaleSets'
    mode: 'User'
    osType: 'Linux'
    vmSize: cpuVmSize
    enableAutoScaling: true
    count: 0
    minCount: 0
    maxCount: cpuMaxNodes
    maxPods: 60
    enableEncryptionAtHost: hostEncryption
    vnetSubnetID: nodesSubnetId
    // A pool that has to return to zero must not attract the cluster's own pods, which the autoscaler
    // does not move.
    nodeTaints: [
      'sku=cpu:NoSchedule'
    ]
    nodeLabels: {
      'stylestream/pool': 'cpu'
    }
  }
  // AKS changes one pool at a time.
  dependsOn: [
    gpu
  ]
}
