// Node pools of the stylizers. Both begin with no node: a pod that fits nowhere brings the first one.

param clusterName string
param nodesSubnetId string

@description('Whether the machines\' own disks are encrypted, too; a feature to be registered first.')
param hostEncryption bool

param gpuVmSize string

@description('Most GPU nodes; the hub of frames feeds one stylizer a partition.')
param gpuMaxNodes int

@description('Whether GPU nodes are spare capacity: far cheaper, taken back at any time.')
param gpuSpot bool

param cpuVmSize string

@description('Most CPU nodes for stylizers; 0: no such pool.')
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
    // A spot pool gets the taint kubernetes.azure.com/scalesetpriority=spot:NoSchedule by itself.
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
    // A pool that is to go back to zero must not attract pods of the cluster's own, which the
    // autoscaler does not move.
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
